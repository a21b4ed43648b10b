/** Rows of a statement and how many rows it touched. */
export interface SqlResult<Row> {
  readonly rows: Row[];
  readonly rowCount: number;
}

/**
 * Runs SQL on PostgreSQL through a client that the user owns (pg, Kysely, PGlite, ...).
 *
 * Parameters are `$1`, `$2`, ... as in the protocol.
 */
export interface SqlExecutor {
  /**
   * What this database cannot do, so that who relies on it can refuse it: end a statement after `statement_timeout`, or serve a
   * second session while one is in a transaction. Absent: nothing of that.
   */
  readonly lacks?: readonly ('timeouts' | 'sessions')[];
  /** Runs one statement; errors of the driver pass unchanged. */
  query<Row = Record<string, unknown>>(sql: string, parameters?: readonly unknown[]): Promise<SqlResult<Row>>;
  /**
   * Runs `run` inside one READ COMMITTED transaction on one connection: committed when it resolves, rolled back when
   * it rejects, and the rejection passes unchanged.
   */
  transaction<T>(run: (transaction: SqlExecutor) => Promise<T>): Promise<T>;
}

/**
 * One connection that hears NOTIFY.
 *
 * It connects at the first `listen`, reconnects by itself and listens again. A notification is a wake-up only: what
 * was sent while the connection was lost is gone, so whoever listens reads the table again at every `ready`.
 */
export interface SqlListener {
  /** Resolves once the server has confirmed LISTEN, and gives the function that ends it. */
  listen(channel: string, listener: (payload: string) => void): Promise<() => Promise<void>>;
  /** Calls `listener` at every change; returns the function that unsubscribes it. */
  onState(listener: (state: 'ready' | 'lost') => void): () => void;
  /** Ends every LISTEN and the connection. */
  close(): Promise<void>;
}
