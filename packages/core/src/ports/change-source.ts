/** What happened to a row, or to the keys of a view. */
export type ChangeOperation = 'insert' | 'update' | 'delete' | 'refresh';

/** A row as JSON: column names to values as PostgreSQL's `to_jsonb` writes them. */
export type ChangedRow = Readonly<Record<string, unknown>>;

/**
 * One committed change.
 *
 * For a row: `old` is absent for an insert, `new` for a delete. A row that moves from one tenant to another is two
 * changes: a `delete` (with `moved`) for the tenant it left and an `insert` (with `moved`) for the one it entered.
 * For a view: `operation` is `refresh`, `table` the view's name, `key` the changed key columns; an empty `key` means
 * every row of that tenant, an absent `tenant` every tenant.
 */
export interface ChangeEvent {
  readonly table: string;
  readonly operation: ChangeOperation;
  readonly tenant: string | undefined;
  readonly key: ChangedRow;
  readonly old?: ChangedRow;
  readonly new?: ChangedRow;
  readonly moved?: true;
  /** When the change was written, milliseconds since the epoch, by the database's clock; the same when delivered again. */
  readonly at: number;
  /** Grows with every change of its source and is the same when the change is delivered again. */
  readonly sequence: string;
}

/** Changes in the order of their commits as far as one row is concerned; never empty. */
export type ChangeBatch = readonly ChangeEvent[];

/** Why a source can no longer say what changed. */
export type GapReason = 'started' | 'trimmed' | 'restored' | 'source';

/** Who consumes a source. */
export interface ChangeSink {
  /**
   * Resolves when the batch is done with: the source then moves its cursor. Rejects: the source stays where it is and
   * delivers again after a pause that grows with every failure in a row, possibly with later changes in one batch.
   *
   * @param signal - Aborted when the source no longer holds its cursor: somebody else delivers the batch then.
   */
  batch(changes: ChangeBatch, signal?: AbortSignal): Promise<void>;
  /** Something may have been missed: whoever consumes treats everything as changed. Rejects: as for a batch. */
  gap(reason: GapReason, signal?: AbortSignal): Promise<void>;
  /** The source cannot read at the moment; it tries again by itself. */
  failed?(error: unknown): void;
}

/** How far a source is behind. */
export interface SourceLag {
  /** Changes delivered since start. */
  readonly delivered: number;
  /** Age of the oldest change not yet acknowledged when last seen; 0 when there is none. */
  readonly oldestMs: number;
  /** What the source waits for, if it does not advance. */
  readonly stalledBy?: string;
}

/**
 * Delivers committed changes, each at least once, from a cursor that it keeps itself.
 *
 * An implementer promises: one batch at a time; the next only after the last was acknowledged; of all processes that
 * start the same source, one at a time delivers.
 */
export interface ChangeSource {
  readonly name: string;
  /** Resolves when the source watches for changes; calling it twice is an error. */
  start(sink: ChangeSink): Promise<void>;
  /** Resolves when no batch is under way any more. */
  stop(): Promise<void>;
  /** How far it is behind, as last seen; asks nobody. */
  lag(): SourceLag;
}
