import { ConfigurationError } from '../errors.ts';
import type { SqlExecutor, SqlResult } from '../ports/sql.ts';
import { SqlTransaction } from './sql-transaction.ts';

/** What a query of `pg` gives, as far as it is read here. */
export interface PgResultLike {
  // The driver types rows itself, differently for each caller.
  // biome-ignore lint/suspicious/noExplicitAny: structural type of another library
  readonly rows: any[];
  readonly rowCount: number | null;
  readonly command: string;
}

/** The part of a checked-out `pg` client that is used. */
export interface PgPoolClientLike {
  query(sql: string, parameters?: unknown[]): Promise<PgResultLike>;
  release(destroy?: Error | boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** The part of a `pg.Pool` that is used. */
export interface PgPoolLike {
  connect(): Promise<PgPoolClientLike>;
  query(sql: string, parameters?: unknown[]): Promise<PgResultLike>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: PgPoolClientLike) => void): unknown;
  listenerCount(event: 'error'): number;
}

/**
 * Runs SQL through a `pg.Pool` that the user owns and closes.
 *
 * A connection that breaks while it is checked out, or while it idles in a pool nobody listens to for `error`, would
 * end the process as an unhandled `error` event; the executor listens, and the next query says what happened. A
 * `transaction` inside a transaction is a savepoint. Errors of the driver pass unchanged, also when `run` swallowed
 * the error of a statement that had already aborted the transaction.
 *
 * A server that vanishes without a word is noticed by TCP only, after minutes, unless the pool has a `query_timeout`;
 * what times out costs its connection.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no pool; for a single client there is {@link pgClientExecutor}.
 * @example
 * const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 20 });
 * const sql = pgExecutor(pool);
 * const { rows } = await sql.query<{ id: string }>('select id from calls where user_id = $1', ['7']);
 */
export function pgExecutor(pool: PgPoolLike): SqlExecutor {
  if (
    typeof pool?.connect !== 'function' ||
    typeof pool.listenerCount !== 'function' ||
    !('totalCount' in pool)
  ) {
    throw new ConfigurationError('pgExecutor takes a pg.Pool; pgClientExecutor takes a pg.Client');
  }
  if (pool.listenerCount('error') === 0) pool.on('error', ignore);
  if (!listenedTo.has(pool)) {
    listenedTo.add(pool);
    // A server can end a session in the packet that opens it, before whoever waits for the connection has it.
    pool.on('connect', (client) => client.on('error', ignore));
  }
  return new PgExecutor(pool);
}

/** Pools of which every new connection is listened to. */
const listenedTo = new WeakSet<PgPoolLike>();

class PgExecutor implements SqlExecutor {
  readonly #pool: PgPoolLike;

  constructor(pool: PgPoolLike) {
    this.#pool = pool;
  }

  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<SqlResult<Row>> {
    return runStatement<Row>(this.#pool, sql, parameters);
  }

  async transaction<T>(work: (transaction: SqlExecutor) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    client.on('error', ignore);
    let broken: Error | undefined;
    try {
      return await inTransaction(client, work, (failure) => {
        broken = failure;
      });
    } finally {
      client.removeListener('error', ignore);
      client.release(broken);
    }
  }
}

/** Runs `work` in a transaction of a client that nobody else uses meanwhile; tells if the client could not roll it back. */
export async function inTransaction<T>(
  client: Pick<PgPoolClientLike, 'query'>,
  work: (transaction: SqlExecutor) => Promise<T>,
  broke: (failure: Error) => void,
): Promise<T> {
  const transaction = new SqlTransaction((sql, parameters) => runStatement(client, sql, parameters));
  await client.query('begin isolation level read committed read write');
  try {
    const value = await work(transaction);
    const { command } = await client.query('commit');
    if (command === 'ROLLBACK') throw transaction.failure;
    return value;
  } catch (error) {
    await client.query('rollback').catch(broke);
    throw error;
  }
}

/** Runs one statement. */
export async function runStatement<Row>(
  client: Pick<PgPoolClientLike, 'query'>,
  sql: string,
  parameters?: readonly unknown[],
): Promise<SqlResult<Row>> {
  const { rows, rowCount } = await client.query(sql, parameters as unknown[] | undefined);
  return { rows, rowCount: rowCount ?? 0 };
}

function ignore(): void {}
