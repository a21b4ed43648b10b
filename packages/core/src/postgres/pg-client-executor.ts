import { ConfigurationError } from '../errors.ts';
import type { SqlExecutor } from '../ports/sql.ts';
import { inTransaction, type PgResultLike, runStatement } from './pg-executor.ts';

/** The part of a `pg.Client` that is used. */
export interface PgClientLike {
  query(sql: string, parameters?: unknown[]): Promise<PgResultLike>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * Runs SQL on one `pg.Client` that the user connects and ends: a script, a migration, a job that has no pool.
 *
 * It is one session, used by one caller at a time: statements and transactions wait for the one before, so what is written inside
 * a transaction has to go through the executor that the transaction is given. It does not connect again when the connection is
 * lost. What needs a second session while one is in a transaction refuses this executor when it is constructed.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no client.
 * @example
 * const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
 * const sql = pgClientExecutor(client); // before it connects, so that no loss of its connection ends the process
 * await client.connect();
 * const { rows } = await sql.query<{ id: string }>('select id from calls where user_id = $1', ['7']);
 * await client.end();
 */
export function pgClientExecutor(client: PgClientLike): SqlExecutor {
  if (typeof client?.query !== 'function' || typeof client.on !== 'function' || 'totalCount' in client) {
    throw new ConfigurationError('pgClientExecutor takes a pg.Client');
  }
  // A connection that breaks says so in the next statement.
  client.on('error', () => undefined);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
  return {
    lacks: ['sessions'],
    query: (sql, parameters) => inTurn(() => runStatement(client, sql, parameters)),
    transaction: (work) => inTurn(() => inTransaction(client, work, () => undefined)),
  };
}
