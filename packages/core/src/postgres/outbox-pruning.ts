import { durationMs } from '../duration.ts';
import type { ChangeSink } from '../ports/change-source.ts';
import type { Clock } from '../ports/clock.ts';
import type { SqlExecutor } from '../ports/sql.ts';
import { type OutboxRetention, pruneBatch, pruneOutbox } from './outbox.ts';

const everyMs = 60_000;

/** Removes from an outbox what nobody needs any more, now and then between deliveries. */
export class OutboxPruning {
  readonly #sql: SqlExecutor;
  readonly #outbox: string;
  readonly #retention: OutboxRetention;
  readonly #clock: Clock;
  #prunedAt: number;

  /** @throws ConfigurationError `INVALID_CONFIGURATION` for a time that is none. */
  constructor(sql: SqlExecutor, outbox: string, retention: OutboxRetention, clock: Clock) {
    durationMs(retention.consumed ?? 0, 'retention.consumed');
    durationMs(retention.abandoned ?? 0, 'retention.abandoned');
    this.#sql = sql;
    this.#outbox = outbox;
    this.#retention = retention;
    this.#clock = clock;
    this.#prunedAt = clock.now();
  }

  /** A full batch means that there is more: the next step goes on, and deliveries are in between. */
  async step(sink: ChangeSink): Promise<void> {
    const now = this.#clock.now();
    if (now - this.#prunedAt < everyMs) return;
    this.#prunedAt = now;
    try {
      const pruned = await pruneOutbox(this.#sql, this.#outbox, this.#retention);
      if (pruned === pruneBatch) this.#prunedAt = now - everyMs;
    } catch (error) {
      // Changes are delivered all the same.
      sink.failed?.(error);
    }
  }
}
