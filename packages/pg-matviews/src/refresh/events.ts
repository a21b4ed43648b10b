/** A key of a view that a refresh changed. */
export interface ViewChange {
  /** Absent: every tenant. */
  readonly tenant?: string;
  /** Key columns of the view; empty: every row of the tenant. */
  readonly key: Readonly<Record<string, unknown>>;
}

/** A refresh that was committed. */
export interface RefreshedEvent {
  readonly view: string;
  /** How it was done; of a rollup, whether the marked groups or all were computed. */
  readonly mode: 'concurrently' | 'plain' | 'partial' | 'whole';
  readonly durationMs: number;
  /** Every change committed before this time is in the view; milliseconds since the epoch by the database's clock. */
  readonly freshAsOf: number;
  /** How many marks it took. */
  readonly marks: number;
  readonly changes: readonly ViewChange[];
}

/** What a refresher tells. */
export interface RefresherEvents {
  /** A refresh was committed, by the loop or by a call. */
  refreshed: (event: RefreshedEvent) => void;
  /** A refresh failed; the view stays dirty. A view in `retryInMs` is tried again by itself if the refresher runs. */
  failed: (event: { view: string; error: unknown; failures: number; retryInMs: number }) => void;
  /** So many refreshes failed in a row that nobody tries again by itself; the view stays dirty. After `failed`. */
  paused: (event: { view: string; error: unknown; failures: number }) => void;
  /** The refresher cannot read which views are dirty; it tries again by itself. */
  error: (event: { error: unknown }) => void;
}
