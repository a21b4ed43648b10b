import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { type PgPoolClientLike, type PgPoolLike, pgExecutor } from '@cachekit/core/postgres';
import { CopyIn, CopyOut } from './copy-statement.ts';

/** The part of a `pg.Pool` that a copying executor uses. */
export interface PgCopyPoolLike extends Omit<PgPoolLike, 'connect'> {
  // The driver types a statement of one's own by its own class of connections, which does not know COPY.
  // biome-ignore lint/suspicious/noExplicitAny: structural type of another library
  connect(): Promise<PgPoolClientLike & { query(statement: any): any }>;
  readonly totalCount: number;
}

/** A transaction that can also COPY. */
export interface CopyingTransaction extends SqlExecutor {
  /** Runs a COPY ... TO STDOUT. */
  copyOut(sql: string): AsyncGenerator<readonly Uint8Array[]>;
  /** Runs a COPY ... FROM STDIN. */
  copyIn(sql: string, chunks: readonly Uint8Array[]): Promise<void>;
}

/**
 * Runs SQL through a `pg.Pool` as `pgExecutor` does, and lets a copy load by binary COPY if both of its databases have
 * such an executor. It needs `pg` itself, not its native binding, and a role that may create temporary tables.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no pool.
 * @example
 * const etl = createEtl({
 *   name: 'calls',
 *   remote: copyingExecutor(remotePool),
 *   local: copyingExecutor(pool),
 *   from: 'calls',
 *   to: 'calls_copy',
 *   key: 'id',
 *   sources: { calls: { key: 'id', changed: 'xmin' } },
 * });
 * await etl.install();
 */
export function copyingExecutor(pool: PgCopyPoolLike): SqlExecutor {
  if (typeof pool?.connect !== 'function' || !('totalCount' in pool)) {
    throw new ConfigurationError('copyingExecutor takes a pg.Pool');
  }
  const plain = pgExecutor(pool as unknown as PgPoolLike);
  return {
    query: (sql, parameters) => plain.query(sql, parameters),
    async transaction(run) {
      const client = await pool.connect();
      const one = {
        connect: () => Promise.resolve(client),
        query: pool.query.bind(pool),
        // `plain` listens to the pool already.
        on: () => undefined,
        totalCount: 1,
      };
      return pgExecutor(one as PgPoolLike).transaction((transaction) => {
        const copying: CopyingTransaction = {
          query: (sql, parameters) => transaction.query(sql, parameters),
          transaction: (inner) => transaction.transaction(inner),
          copyOut(sql) {
            const copy = new CopyOut(sql);
            client.query(copy);
            return copy.chunks();
          },
          copyIn(sql, chunks) {
            const copy = new CopyIn(sql, chunks);
            client.query(copy);
            return copy.done;
          },
        };
        return run(copying);
      });
    },
  };
}

/** The transaction as one that can COPY, if it can. */
export function copying(transaction: SqlExecutor): CopyingTransaction | undefined {
  return 'copyOut' in transaction && 'copyIn' in transaction
    ? (transaction as CopyingTransaction)
    : undefined;
}
