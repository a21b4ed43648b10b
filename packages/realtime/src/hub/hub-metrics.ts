/** Counts of a hub since it was made, and what it holds now. */
export interface HubMetrics {
  /** Open streams now. */
  readonly connections: number;
  /** Tenants with an open stream now. */
  readonly tenants: number;
  /** Streams now that are behind the head of their tenant. */
  readonly behind: number;
  /** Events appended by `publish`. */
  readonly published: number;
  /** Events that `publish` found in the log already. */
  readonly repeated: number;
  /** Event frames queued to streams, replayed ones included. */
  readonly delivered: number;
  /** Event frames queued out of the ring or the log to streams that were behind. */
  readonly replayed: number;
  /** Gap frames queued to streams. */
  readonly gaps: number;
  /** Reads of the log. */
  readonly reads: number;
  /** Streams refused because of a limit or because the log could not be reached. */
  readonly refused: number;
  /** Streams ended because their consumer took nothing for too long. */
  readonly stalled: number;
}

/** The counters behind {@link HubMetrics}, written by rooms. */
export type HubCounters = {
  -readonly [Name in Exclude<keyof HubMetrics, 'connections' | 'tenants' | 'behind'>]: number;
};

/** All at zero. */
export function newCounters(): HubCounters {
  return {
    published: 0,
    repeated: 0,
    delivered: 0,
    replayed: 0,
    gaps: 0,
    reads: 0,
    refused: 0,
    stalled: 0,
  };
}
