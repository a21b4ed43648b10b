import type { Clock, SqlExecutor, Timer } from '@cachekit/core';

/** Pause between two attempts: one that comes between two statements of the transaction is not heard. */
const againMs = 100;
/** How long the transaction is kept for a cancellation under way: one that came later could hit another one. */
const settleMs = 1_000;

/** Only if the session is still in the transaction that is meant; a pool may have given it to somebody else. */
const cancelSql = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
  WHERE pid = $1::integer AND trunc(extract(epoch FROM xact_start) * 1000000) = $2::numeric`;

/**
 * Runs a transaction and cancels its statement in the server when `signal` aborts, over another connection.
 *
 * @param settings - First statement of the transaction.
 * @throws The reason of the signal, if the statement was cancelled because of it.
 */
export async function cancellable<T>(
  sql: SqlExecutor,
  settings: string,
  signal: AbortSignal | undefined,
  clock: Clock,
  run: (transaction: SqlExecutor) => Promise<T>,
): Promise<T> {
  if (signal === undefined) {
    return sql.transaction(async (transaction) => {
      await transaction.query(settings);
      return run(transaction);
    });
  }
  signal.throwIfAborted();
  try {
    return await sql.transaction(async (transaction) => {
      await transaction.query(settings);
      const { rows } = await transaction.query<{ pid: number; began: string }>(
        `SELECT pg_backend_pid() AS pid, trunc(extract(epoch FROM transaction_timestamp()) * 1000000)::text AS began`,
      );
      signal.throwIfAborted();
      const cancellation = new Cancellation(sql, clock, [rows[0]?.pid, rows[0]?.began]);
      const begin = (): void => cancellation.begin();
      signal.addEventListener('abort', begin, { once: true });
      try {
        return await run(transaction);
      } finally {
        signal.removeEventListener('abort', begin);
        await cancellation.end();
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

class Cancellation {
  readonly #sql: SqlExecutor;
  readonly #clock: Clock;
  readonly #target: readonly unknown[];
  #timer: Timer | undefined;
  #underWay: Promise<unknown> | undefined;
  #ended = false;

  constructor(sql: SqlExecutor, clock: Clock, target: readonly unknown[]) {
    this.#sql = sql;
    this.#clock = clock;
    this.#target = target;
  }

  begin(): void {
    if (this.#ended) return;
    this.#underWay = this.#sql.query(cancelSql, this.#target).then(
      () => {
        this.#underWay = undefined;
        if (!this.#ended) this.#timer = this.#clock.setTimeout(() => this.begin(), againMs);
      },
      () => undefined,
    );
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#clock.clearTimeout(this.#timer);
    if (this.#underWay === undefined) return;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#clock.setTimeout(resolve, settleMs);
    });
    await Promise.race([this.#underWay, late]);
    this.#clock.clearTimeout(timer);
  }
}
