import type { LogPosition } from '../position.ts';

/** One event as the log keeps it: the body is one line of JSON that the log never reads. */
export interface LogRecord {
  readonly type: string;
  readonly body: string;
}

/**
 * A record on its way in. `origin` names the change it comes from: while the log remembers the origin, records of
 * the same one in a later call are dropped. Several records of one change come in one call.
 */
export interface NewLogRecord extends LogRecord {
  readonly origin?: string | undefined;
}

/** What an append did. */
export interface LogAppend {
  /** The place after the last record. */
  readonly position: LogPosition;
  readonly appended: number;
  /** Records that were there already. */
  readonly repeated: number;
}

/** A record with its number. */
export interface NumberedRecord extends LogRecord {
  readonly offset: number;
}

/** Why the events after a position cannot be had: another log, or no longer kept. */
export type LogGapReason = 'epoch' | 'trimmed';

/** What came after a position; `top` is the newest place when it was read. */
export type LogRead =
  /** Numbered without a hole, beginning right after the position; as many as asked for or all there are. */
  | { readonly state: 'rows'; readonly rows: readonly NumberedRecord[]; readonly top: LogPosition }
  | { readonly state: 'gap'; readonly reason: LogGapReason; readonly top: LogPosition };

/** What was appended, as followers hear it; the first record has the number `first`. */
export interface LogTail {
  readonly epoch: string;
  readonly first: number;
  readonly records: readonly LogRecord[];
}

/** Hears what is appended to the log of one tenant. */
export interface LogFollower {
  /** Records that were appended, by whichever process. */
  appended(tail: LogTail): void;
  /** Appends may have gone unheard until now: read the log again. */
  restored(): void;
}

/**
 * One ordered log of events per tenant.
 *
 * An implementer promises: records of a tenant are numbered 1, 2, 3, ... in the order of the appends, which are
 * atomic; a follower that hears of number n has heard of n - 1 before or hears `restored` after; a read never leaves
 * out a record silently. Any process may append, read and follow where the log is shared.
 */
export interface EventLog {
  /** Appends records that the log does not have yet, in order. */
  append(tenant: string, records: readonly NewLogRecord[]): Promise<LogAppend>;
  /** What follows a position, or why that cannot be said. */
  readAfter(tenant: string, position: LogPosition, limit: number): Promise<LogRead>;
  /** The newest place; makes the log of the tenant if there is none. */
  position(tenant: string): Promise<LogPosition>;
  /** Resolves once every later append will be heard, and gives the function that ends it. */
  follow(tenant: string, follower: LogFollower): Promise<() => Promise<void>>;
  /** Every tenant of which somebody may hold a position, in batches. */
  tenants(): AsyncIterable<readonly string[]>;
  /** Ends following and closes what the log opened itself. */
  close(): Promise<void>;
}
