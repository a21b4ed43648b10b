import type { EtlGap } from '../events.ts';
import { type PgoutputMessage, parsePgoutput, type Tuple } from './pgoutput.ts';
import type { SlotTable } from './publication.ts';

/** What a slot told of the tables, one message after another. */
export class Told {
  /** Per source the values that lead to keys; whoever reads them empties them. */
  readonly values: ReadonlyMap<string, Set<string>>;
  /** Why everything has to be read again. */
  everything: EtlGap['reason'] | undefined;
  /** Where the last transaction ends that is told. */
  end: bigint | undefined;
  readonly #tables: readonly SlotTable[];
  readonly #columns = new Map<number, readonly RelationColumn[]>();

  constructor(tables: readonly SlotTable[]) {
    this.#tables = tables;
    this.values = new Map(tables.map(({ source }) => [source, new Set()]));
  }

  get size(): number {
    let size = 0;
    for (const values of this.values.values()) size += values.size;
    return size;
  }

  /**
   * Takes a message; `false` if it begins a transaction that the snapshot does not show.
   *
   * A commit is in the WAL before others see it, longer so where it waits for a standby. What is read by key would be older
   * than the change, so that transaction and all after it stay for the next run.
   */
  take(bytes: Uint8Array, shows: (xid: number) => boolean): boolean {
    const message = parsePgoutput(bytes);
    if (message.kind === 'begin') return shows(message.xid);
    if (message.kind === 'commit') this.end = message.end;
    else if (message.kind === 'relation') this.#learn(message);
    else if (message.kind === 'truncate') {
      this.everything ??= 'truncate';
    } else if (message.kind !== 'other') this.#change(message);
    return true;
  }

  #learn({ id, columns }: Extract<PgoutputMessage, { kind: 'relation' }>): void {
    const known = this.#tables
      .filter(({ relations }) => relations.includes(id))
      .map(({ source, column }): RelationColumn => {
        const at = columns.findIndex(({ name }) => name === column);
        return { source, at, covered: columns[at]?.identity === true };
      });
    // A partition that came since, or is gone: its rows are of a source whose name is not known.
    if (known.length === 0) this.everything ??= 'identity';
    this.#columns.set(id, known);
  }

  #change(message: Extract<PgoutputMessage, { kind: 'insert' | 'update' | 'delete' }>): void {
    for (const { source, at, covered } of this.#columns.get(message.relation) ?? []) {
      if (message.kind !== 'insert' && !covered) this.everything ??= 'identity';
      const old = message.kind === 'insert' ? undefined : message.old;
      if (old !== undefined) this.#add(source, old, at);
      // A long value that did not change is sent with the old row only.
      if (message.kind !== 'delete' && !(old !== undefined && message.row.value(at) === undefined)) {
        this.#add(source, message.row, at);
      }
    }
  }

  #add(source: string, row: Tuple, at: number): void {
    const value = row.value(at);
    if (value === undefined) this.everything ??= 'identity';
    else if (value !== null) this.values.get(source)?.add(value);
  }
}

/** Where in its rows a source has the column that leads to keys. */
interface RelationColumn {
  readonly source: string;
  readonly at: number;
  readonly covered: boolean;
}

/** Whether a snapshot, as PostgreSQL writes it, shows transactions that are known to be committed. */
export function shownBy(snapshot: string): (xid: number) => boolean {
  const [, end = '0', list = ''] = snapshot.split(':');
  const xmax = BigInt(end);
  const running = new Set(
    list === '' ? [] : list.split(',').map((xid) => Number(BigInt(xid) & 0xffff_ffffn)),
  );
  const low = Number(xmax & 0xffff_ffffn);
  // Ids go round a circle of 2^32: half of it is before the snapshot's end.
  return (xid) => ((xid - low) | 0) < 0 && !running.has(xid);
}
