import type { SqlExecutor, SqlResult } from '../ports/sql.ts';

/** Runs one statement in a transaction that is open. */
type RunSql = <Row>(sql: string, parameters?: readonly unknown[]) => Promise<SqlResult<Row>>;

/** A transaction that is open, over any client: a `transaction` inside it is a savepoint. */
export class SqlTransaction implements SqlExecutor {
  readonly #run: RunSql;
  #failure: { readonly error: unknown } | undefined;
  #savepoints = 0;

  constructor(run: RunSql) {
    this.#run = run;
  }

  /** Of the last statement that failed: what a commit that turned into a rollback was about. */
  get failure(): unknown {
    return this.#failure?.error;
  }

  async query<Row>(sql: string, parameters?: readonly unknown[]): Promise<SqlResult<Row>> {
    try {
      return await this.#run<Row>(sql, parameters);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  async transaction<T>(run: (transaction: SqlExecutor) => Promise<T>): Promise<T> {
    this.#savepoints += 1;
    const savepoint = `cachekit_${this.#savepoints}`;
    await this.query(`savepoint ${savepoint}`);
    try {
      const value = await run(this);
      await this.query(`release savepoint ${savepoint}`);
      return value;
    } catch (error) {
      await this.#run(`rollback to savepoint ${savepoint}`).catch(() => undefined);
      throw error;
    }
  }

  /**
   * For clients that do not show what COMMIT answered: that of an aborted transaction answers ROLLBACK without an error.
   *
   * @throws The error of the statement that aborted the transaction, if one did.
   */
  async assertAlive(): Promise<void> {
    if (this.#failure === undefined) return;
    try {
      await this.#run('select 1');
    } catch {
      throw this.#failure.error;
    }
  }
}
