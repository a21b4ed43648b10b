import { ConfigurationError } from '../errors.ts';
import type { SqlExecutor, SqlResult } from '../ports/sql.ts';
import { SqlTransaction } from './sql-transaction.ts';

/** A compiled query of Kysely, as `CompiledQuery.raw` makes it. */
export interface KyselyCompiledQueryLike {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly query: {
    readonly kind: 'RawNode';
    readonly sqlFragments: readonly string[];
    readonly parameters: readonly [];
  };
  readonly queryId: { readonly queryId: string };
}

/** What Kysely gives for a query, as far as it is read here. */
export interface KyselyResultLike {
  // Kysely types rows by the query, which is raw here.
  // biome-ignore lint/suspicious/noExplicitAny: structural type of another library
  readonly rows: any[];
  readonly numAffectedRows?: bigint;
}

/** The part of a Kysely transaction that is used. */
export interface KyselyTransactionLike {
  // A class with generics of the user's database: only its methods matter.
  // biome-ignore lint/suspicious/noExplicitAny: structural type of another library
  executeQuery(query: any): Promise<KyselyResultLike>;
  withoutPlugins(): KyselyTransactionLike;
}

/** The part of a `Kysely` instance over PostgreSQL that is used. */
export interface KyselyLike extends KyselyTransactionLike {
  /** It is a transaction that was begun already. */
  readonly isTransaction?: boolean;
  withoutPlugins(): KyselyLike;
  transaction(): {
    setIsolationLevel(level: 'read committed'): {
      execute<T>(run: (transaction: KyselyTransactionLike) => Promise<T>): Promise<T>;
    };
  };
}

/**
 * Runs SQL through a Kysely instance over PostgreSQL that the user owns and closes.
 *
 * The user's plugins (such as camel case) do not touch these statements. A `transaction` inside a transaction is a
 * savepoint, and so is each of an executor over a transaction, such as a migration is given. Kysely checks connections out
 * without listening for their `error` event, which ends the process when a connection breaks between two statements; give it
 * a {@link sharedPool}, or call `pool.on('connect', (client) => client.on('error', () => {}))`.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no Kysely instance.
 * @example
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
 * const sql = kyselyExecutor(db);
 */
export function kyselyExecutor(db: KyselyLike): SqlExecutor {
  if (typeof db?.executeQuery !== 'function' || typeof db.withoutPlugins !== 'function') {
    throw new ConfigurationError('kyselyExecutor takes a Kysely instance');
  }
  return db.isTransaction === true
    ? transactionOf(db.withoutPlugins())
    : new KyselyExecutor(db.withoutPlugins());
}

class KyselyExecutor implements SqlExecutor {
  readonly #db: KyselyLike;

  constructor(db: KyselyLike) {
    this.#db = db;
  }

  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<SqlResult<Row>> {
    return run<Row>(this.#db, sql, parameters);
  }

  transaction<T>(work: (transaction: SqlExecutor) => Promise<T>): Promise<T> {
    return this.#db
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (kysely) => {
        const transaction = transactionOf(kysely);
        const value = await work(transaction);
        await transaction.assertAlive();
        return value;
      });
  }
}

function transactionOf(kysely: KyselyTransactionLike): SqlTransaction {
  return new SqlTransaction((sql, parameters) => run(kysely, sql, parameters));
}

async function run<Row>(
  db: KyselyTransactionLike,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<SqlResult<Row>> {
  const query: KyselyCompiledQueryLike = {
    sql,
    parameters,
    query: { kind: 'RawNode', sqlFragments: [sql], parameters: [] },
    queryId: { queryId: 'cachekit' },
  };
  const { rows, numAffectedRows } = await db.executeQuery(query);
  return { rows, rowCount: numAffectedRows === undefined ? rows.length : Number(numAffectedRows) };
}
