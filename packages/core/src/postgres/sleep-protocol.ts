import type { SqlExecutor } from '../ports/sql.ts';
import type { CursorGlance } from './cursor.ts';
import { armingHorizonSql, armSql, disarmSql } from './wake.ts';

/** Pause between two looks while writers are known to be about. */
const busyPauseMs = 5;
/** Longest pause while a writer may be about that does not know the consumer sleeps. */
const watchPauseMs = 250;
/** Empty looks before writers are asked to wake the consumer, and full ones before they are told not to. */
const hysteresis = 3;

/**
 * Decides how long a consumer may sleep, and tells the writers when they have to wake it.
 *
 * A NOTIFY costs writers a lock they share, so they send one only while the flag is set. Setting it is not enough: a
 * writer that read the flag before may commit after the consumer's last look. Such a writer already had its
 * transaction id, so after setting the flag the consumer keeps looking until every transaction older than that moment
 * has ended. What is left (a writer in REPEATABLE READ whose snapshot is older than the flag) is found by the poll.
 */
export class SleepProtocol {
  readonly #sql: SqlExecutor;
  readonly #consumer: string;
  readonly #subject: string;
  readonly #pollMs: number;
  #fullLooks = 0;
  #emptyLooks = 0;
  #armed = false;
  /** Transactions with a smaller id may have missed that the consumer sleeps. */
  #horizon: bigint | undefined;
  #watchPauseMs = busyPauseMs;

  constructor(sql: SqlExecutor, consumer: string, subject: string, pollMs: number) {
    this.#sql = sql;
    this.#consumer = consumer;
    this.#subject = subject;
    this.#pollMs = pollMs;
  }

  /** A look found something. */
  async full(): Promise<void> {
    this.#emptyLooks = 0;
    this.#fullLooks += 1;
    if (this.#fullLooks !== hysteresis) return;
    await this.disarm();
    this.#horizon = undefined;
  }

  /**
   * A look found nothing.
   *
   * @param listening - Whether a notification would be heard.
   * @returns How long to pause before the next look.
   */
  async empty(glance: CursorGlance, listening: boolean): Promise<number> {
    this.#fullLooks = 0;
    this.#emptyLooks += 1;
    if (!listening) return this.#pollMs;
    if (!glance.armed)
      return this.#emptyLooks < hysteresis ? Math.min(busyPauseMs, this.#pollMs) : this.#arm();
    if (this.#horizon === undefined) return this.#pollMs;
    if (BigInt(glance.horizon) >= this.#horizon) {
      this.#horizon = undefined;
      return this.#pollMs;
    }
    this.#watchPauseMs = Math.min(this.#watchPauseMs * 2, watchPauseMs);
    return Math.min(this.#watchPauseMs, this.#pollMs);
  }

  async disarm(): Promise<void> {
    this.#armed = false;
    await this.#sql.query(disarmSql, [this.#consumer]);
  }

  /** The consumer ends: nobody is there to be woken. */
  async end(): Promise<void> {
    if (this.#armed) await this.disarm().catch(() => undefined);
  }

  async #arm(): Promise<number> {
    await this.#sql.query(armSql, [this.#consumer, this.#subject]);
    this.#armed = true;
    const { rows } = await this.#sql.query<{ horizon: string }>(armingHorizonSql);
    this.#horizon = BigInt(rows[0]?.horizon ?? 0);
    this.#watchPauseMs = busyPauseMs;
    return 0;
  }
}
