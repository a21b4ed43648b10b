import type { ChangedRow, TierClock } from '@cachekit/core';

/** Data by event type; `EventsOf<typeof events>` of the server, or written by hand. */
export type EventMap = Readonly<Record<string, unknown>>;

/** One event as listeners get it. */
export interface RealtimeEvent<Data = unknown, Type extends string = string> {
  readonly type: Type;
  readonly data: Data;
  /** `<epoch>.<offset>`; differs for every event. */
  readonly id: string;
  /** Key of the row it concerns. */
  readonly key?: ChangedRow;
  /** Clock of the invalidation before it: sent with a read, it gets nothing older. */
  readonly clock?: TierClock;
  /** When it happened, milliseconds since the epoch, by the server's clock. */
  readonly at?: number;
}

/** Every event of a map, told apart by `type`. */
export type EventOf<Events extends EventMap> = {
  [Type in keyof Events & string]: RealtimeEvent<Events[Type], Type>;
}[keyof Events & string];

/** Something may have been missed: whatever was read before may be old. */
export interface RealtimeGap {
  /**
   * `started`: the stream began without a position, so what was read before it may be old. `epoch`, `position`,
   * `trimmed`, `limit`, `source`: as the server says.
   */
  readonly reason: 'started' | 'epoch' | 'position' | 'trimmed' | 'limit' | 'source';
  /** The position from which nothing is missing again. */
  readonly position: string;
  /** Sent with a read, it gets nothing older than what was missed; not known for every gap. */
  readonly clock?: TierClock;
}
