import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { sqlState } from '../../sql/sql-state.ts';
import type { CheckedEtl, CheckedSource } from '../definition.ts';
import type { EtlGap } from '../events.ts';
import type { Fit } from '../fit.ts';
import { keyPages, pageRows } from '../pages.ts';
import { lsnOf, lsnText } from './lsn.ts';
import type { SlotTable } from './publication.ts';
import { explained, SlotGap } from './slot.ts';
import { shownBy, Told } from './told.ts';

/** The server is asked for about so many messages at once, at most. */
const mostMessages = 1_000_000;

/** How far a slot was read. */
export interface SlotProgress {
  /** Everything before is told, and the snapshot shows it. */
  readonly position: bigint;
  /** Whether there may be more that the snapshot shows. */
  readonly exhausted: boolean;
  readonly everything: EtlGap['reason'] | undefined;
}

/**
 * Reads what a slot tells since a position, and gives the keys that it leads to, page by page; the slot stays where it is.
 *
 * The server ends after the transaction in which about `limit` messages are reached. It keeps them, on its disk if they are many,
 * so that a transaction of any size takes no more than a page here.
 *
 * @param there - The transaction whose snapshot the rows are read in.
 * @throws SlotGap if the slot cannot tell any more, SlotUnavailable
 */
export async function readSlotChanges(
  there: SqlExecutor,
  etl: CheckedEtl,
  { name: slot, tables }: { readonly name: string; readonly tables: readonly SlotTable[] },
  from: bigint,
  fit: Fit,
  limit: number,
  merge: (keys: readonly string[]) => Promise<void>,
): Promise<SlotProgress> {
  const most = Math.min(limit, mostMessages);
  const told = new Told(tables);
  const { rows: now } = await there.query<{ snapshot: string; written: string }>(
    'SELECT pg_current_snapshot()::text AS snapshot, pg_current_wal_flush_lsn()::text AS written',
  );
  const shows = shownBy(String(now[0]?.snapshot));
  const flush = async (): Promise<void> => {
    for (const { source, type } of tables) {
      const values = told.values.get(source);
      const checked = etl.sources.find(({ name }) => name === source);
      if (values === undefined || values.size === 0 || checked === undefined) continue;
      if (told.everything === undefined) {
        const query = keysSql(checked, type, fit, [...values]);
        for await (const keys of keyPages(there, query)) await merge(keys);
      }
      values.clear();
    }
  };
  let messages = 0;
  let shown = true;
  for await (const page of messagePages(there, slot, most)) {
    messages += page.length;
    for (const { data } of page) {
      if (shown) shown = told.take(bytesOf(data), shows);
      if (!shown) break;
    }
    if (told.size >= pageRows) await flush();
    if (!shown) break;
  }
  await flush();
  await there.query('CLOSE cachekit_slot');
  // A slot that was dropped and made again meanwhile told nothing, and begins later.
  const { rowCount } = await there.query(
    'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn <= $2::pg_lsn',
    [slot, lsnText(from)],
  );
  if (rowCount === 0) throw new SlotGap();
  const exhausted = !shown || messages < most;
  const written = lsnOf(String(now[0]?.written));
  const end = told.end ?? from;
  // What is not told concerns other tables; without going past it the server would keep its WAL.
  const position = shown && exhausted && written > end ? written : end;
  return { position, exhausted, everything: told.everything };
}

async function* messagePages(
  there: SqlExecutor,
  slot: string,
  limit: number,
): AsyncGenerator<readonly { data: string }[]> {
  await there.query(`DECLARE cachekit_slot NO SCROLL CURSOR FOR SELECT encode(data, 'base64') AS data
    FROM pg_logical_slot_peek_binary_changes(${quoteLiteral(slot)}, NULL, ${limit},
      'proto_version', '1', 'publication_names', ${quoteLiteral(quoteIdentifier(slot))})`);
  for (;;) {
    const { rows } = await explained(slot, () => fetchPage(there));
    if (rows.length > 0) yield rows;
    if (rows.length < pageRows) return;
  }
}

/** Errors that say that the slot cannot tell: the publication was not there then, or the WAL is not there now. */
const lost = ['42704', '58P01', '55000'];

async function fetchPage(there: SqlExecutor): Promise<{ rows: { data: string }[] }> {
  try {
    return await there.query<{ data: string }>(`FETCH ${pageRows} FROM cachekit_slot`);
  } catch (error) {
    if (lost.includes(sqlState(error) ?? '')) throw new SlotGap('The slot cannot tell', { cause: error });
    throw error;
  }
}

/** The keys that some values of a source lead to, as the copy writes them. */
function keysSql({ key, through }: CheckedSource, type: string, fit: Fit, values: readonly string[]): string {
  const told = `SELECT v::${type} AS v FROM json_array_elements_text(${quoteLiteral(JSON.stringify(values))}) j (v)`;
  const text = `::${fit.key.type}::text AS k`;
  if (through === undefined || key !== undefined) return `SELECT DISTINCT v${text} FROM (${told}) told`;
  const k = `t.${quoteIdentifier(through.key)}`;
  return `SELECT DISTINCT ${k}${text} FROM ${through.table} t WHERE t.${quoteIdentifier(through.match)} IN (${told}) AND ${k} IS NOT NULL`;
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
