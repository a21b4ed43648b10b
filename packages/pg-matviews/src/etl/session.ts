import type { SqlExecutor } from '@cachekit/core';

/** Everything that decides how a value is written as text, the same on both sides; and the limits of a transaction. */
export async function settle(transaction: SqlExecutor, timeoutMs: number): Promise<void> {
  const timeout = `${Math.ceil(timeoutMs)}ms`;
  const settings: readonly (readonly [string, string])[] = [
    ['statement_timeout', timeout],
    ['idle_in_transaction_session_timeout', timeout],
    ['TimeZone', 'UTC'],
    ['DateStyle', 'ISO, YMD'],
    ['IntervalStyle', 'postgres'],
    ['extra_float_digits', '1'],
    ['bytea_output', 'hex'],
    ['jit', 'off'],
  ];
  await transaction.query(
    `SELECT ${settings.map((_, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, true)`).join(', ')}`,
    settings.flat(),
  );
}

/** One unchanging state of the remote database for the rest of the transaction. */
export async function snapshot(transaction: SqlExecutor, timeoutMs: number): Promise<void> {
  await transaction.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  await settle(transaction, timeoutMs);
}
