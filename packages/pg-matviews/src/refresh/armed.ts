import type { SqlExecutor } from '@cachekit/core';
import { armingHorizonSql, armSql, disarmSql } from '@cachekit/core/postgres';
import { wakeSubject } from '../sql/mark-trigger.ts';
import type { MarkGlance } from './marks.ts';

const firstWatchMs = 5;

/**
 * Asks writers for a NOTIFY while the refresher sleeps, and only then: NOTIFY is a lock that all commits share.
 *
 * A writer that read the flag before it was set does not notify. It had its transaction id by then, so the refresher
 * goes on looking until every id that existed after the arming has ended.
 */
export class Armed {
  readonly #sql: SqlExecutor;
  readonly #consumer: string;
  #watch: bigint | undefined;
  #pauseMs = firstWatchMs;

  constructor(sql: SqlExecutor, consumer: string) {
    this.#sql = sql;
    this.#consumer = consumer;
  }

  /** There is nothing to do. @returns How long the refresher may sleep before it looks again; 0: look now. */
  async idle(glance: MarkGlance, pollMs: number): Promise<number> {
    if (!glance.armed) {
      await this.#sql.query(armSql, [this.#consumer, wakeSubject]);
      const { rows } = await this.#sql.query<{ horizon: string }>(armingHorizonSql);
      this.#watch = BigInt(rows[0]?.horizon ?? 0);
      this.#pauseMs = firstWatchMs;
      return 0;
    }
    if (this.#watch === undefined) return pollMs;
    if (glance.horizon >= this.#watch) {
      this.#watch = undefined;
      return pollMs;
    }
    this.#pauseMs = Math.min(this.#pauseMs * 2, pollMs);
    return this.#pauseMs;
  }

  /** There is something to do: nobody needs to wake the refresher. */
  async busy(glance: MarkGlance): Promise<void> {
    if (glance.armed) await this.disarm();
  }

  async disarm(): Promise<void> {
    this.#watch = undefined;
    await this.#sql.query(disarmSql, [this.#consumer]);
  }
}
