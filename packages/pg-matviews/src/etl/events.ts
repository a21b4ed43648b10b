/** One transaction of a copy, committed in the local database. */
export interface EtlRun {
  readonly etl: string;
  /** `load`: every row; `changes`: what changed since the last run; `keys`, `rows`: a comparison by hashes. */
  readonly kind: 'load' | 'changes' | 'keys' | 'rows';
  /** Rows read from the remote database. */
  readonly read: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly durationMs: number;
  /** Whether the run is complete; if not, the next one goes on where it ended. */
  readonly complete: boolean;
}

/** Why the copy may miss changes, or reads more than it has to. */
export interface EtlRisk {
  readonly reason:
    | 'PG_READ_ALL_STATS_MISSING'
    | 'ACTIVITY_NOT_TRACKED'
    | 'PREPARED_TRANSACTION'
    | 'CHANGED_NULLABLE'
    | 'COLUMN_NOT_COPIED'
    | 'SLOT_UNAVAILABLE'
    | 'SLOT_NEAR_ITS_LIMIT'
    | 'SLOT_WITHOUT_LIMIT';
  /** What it is about and what mends it. */
  readonly detail: string;
}

/** Why a copy with a slot is made anew. */
export interface EtlGap {
  readonly etl: string;
  /** `slot`: what the slot told is lost; `truncate`: a source was emptied; `identity`: old rows came without the key. */
  readonly reason: 'slot' | 'truncate' | 'identity';
}

/** What a copy tells. */
export interface EtlEvents {
  /** A transaction was committed. */
  run: (event: EtlRun) => void;
  /** A run failed; nothing of its last transaction is stored. `retryInMs` is set if it is tried again by itself. */
  failed: (event: { etl: string; error: unknown; failures: number; retryInMs: number | undefined }) => void;
  /** What a slot told does not lead to keys, so everything is read again. */
  gap: (event: EtlGap) => void;
  /** The risks are others than at the last run. */
  risks: (event: { etl: string; risks: readonly EtlRisk[] }) => void;
}
