import type { ChangeSink } from '../ports/change-source.ts';
import type { Clock } from '../ports/clock.ts';
import type { SqlExecutor } from '../ports/sql.ts';
import { holdCursor, moveCursor, type OutboxRow, presentPosition, readOutbox } from './cursor.ts';
import { whileHeld } from './hold.ts';
import { changeOf, isChange } from './outbox-change.ts';

/** Whose rows are delivered, and how. */
export interface Delivery {
  readonly name: string;
  readonly table: string;
  readonly batchSize: number;
  readonly takeoverMs: number;
  readonly clock: Clock;
  /** Called before the sink is, with the age of the oldest change it gets. */
  readonly began: (oldestMs: number) => void;
}

/** How many changes were delivered and acknowledged, 0 for a gap; or why none. */
export type DeliveryOutcome = number | 'nothing' | 'elsewhere';

/** What the sink rejected with; the sink knows that already, and is not told it as a failure of the source. */
export class SinkFailure extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Delivers the next batch in one transaction: takes the cursor, reads, hands over, acknowledges. */
export function deliverNext(
  sql: SqlExecutor,
  delivery: Delivery,
  sink: ChangeSink,
): Promise<DeliveryOutcome> {
  const { name, table } = delivery;
  return sql.transaction(async (transaction) => {
    const held = await holdCursor(transaction, name, delivery.takeoverMs);
    if (held === undefined) return 'elsewhere';
    const { gap } = held;
    if (gap !== undefined) {
      // Only a cursor of another history has no place to go on from; else what is still there is delivered after it.
      const position = gap === 'restored' ? await presentPosition(transaction) : held;
      delivery.began(0);
      await handOver(transaction, delivery, (signal) => sink.gap(gap, signal));
      await moveCursor(transaction, name, position, 0);
      return 0;
    }
    const { rows, position } = await readOutbox(transaction, table, held, delivery.batchSize);
    const first = rows[0];
    if (first === undefined && position === held) return 'nothing';
    if (first !== undefined) {
      delivery.began(Math.max(0, Number(first.ageMs)));
      await handOver(transaction, delivery, (signal) => handRows(rows, sink, signal));
    }
    await moveCursor(transaction, name, position, rows.length);
    return rows.length;
  });
}

async function handOver(
  transaction: SqlExecutor,
  { takeoverMs, clock }: Delivery,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  await whileHeld(transaction, takeoverMs / 3, clock, async (signal) => {
    try {
      await work(signal);
    } catch (error) {
      throw new SinkFailure(error);
    }
  });
}

/** A row that tells of no single change stands for "anything may have happened here", and splits the batch. */
async function handRows(rows: readonly OutboxRow[], sink: ChangeSink, signal: AbortSignal): Promise<void> {
  let from = 0;
  for (let to = 0; to <= rows.length; to += 1) {
    const row = rows[to];
    if (row !== undefined && isChange(row)) continue;
    if (to > from) await sink.batch(rows.slice(from, to).map(changeOf), signal);
    if (row !== undefined) await sink.gap('source', signal);
    from = to + 1;
  }
}
