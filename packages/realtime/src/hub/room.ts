import type { Clock } from '@cachekit/core';
import type { EventLog } from '../log/event-log.ts';
import type { LogPosition } from '../position.ts';
import type { Connection } from './connection.ts';
import type { StreamGapReason } from './frame.ts';
import type { HubCounters } from './hub-metrics.ts';

/** What the rooms of a hub have in common. */
export interface RoomContext {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly counters: HubCounters;
  /** Most events that are replayed to a connection that is behind. */
  readonly replay: number;
  /** Most bytes queued to one connection. */
  readonly queueBytes: number;
  /** Told of failures that heal by themselves. */
  readonly onError: (error: unknown) => void;
  /** Ends a connection whose events cannot be read. */
  readonly drop: (connection: Connection) => void;
}

/**
 * The streams of one tenant in this process.
 *
 * The head of the room is the newest event that was encoded here. It moves in one place only (`deliver`), which in
 * the same turn queues the new frames to every live connection; a connection becomes live only when it is found at
 * the head. So none has a hole and none hears an event twice, however replay and live events interleave.
 */
export interface Room {
  readonly tenant: string;
  readonly connections: ReadonlySet<Connection>;
  /** Follows the log and finds its head; rejects if the log cannot be reached. */
  open(): Promise<void>;
  head(): LogPosition;
  /** Reads what the log has beyond the head; a lost last message is found by this alone. */
  check(): Promise<void>;
  add(connection: Connection): void;
  remove(connection: Connection): void;
  /** Brings a connection up to the head as far as its consumer has room. */
  catchUp(connection: Connection): Promise<void>;
  /** Tells a connection that it may have missed something, and puts it at the head. */
  gap(connection: Connection, reason: StreamGapReason): void;
  close(): Promise<void>;
}
