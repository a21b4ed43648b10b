import { ArgumentError, type Clock, escapeTenant, type Timer } from '@cachekit/core';
import type { EventLog } from '../log/event-log.ts';
import { type LogPosition, parsePosition } from '../position.ts';
import type { Connection, StreamSink } from './connection.ts';
import { createRoom } from './create-room.ts';
import { beatFrame, byeFrame, helloFrame, type StreamGapReason } from './frame.ts';
import { guardedSink } from './guarded-sink.ts';
import type { HubCounters, HubMetrics } from './hub-metrics.ts';
import type { Room } from './room.ts';

/** Who wants a stream. */
export interface StreamRequest {
  readonly tenant: string;
  /** The position the listener was at, as it says; untrusted. */
  readonly lastEventId?: string | undefined;
  /** When its authentication ends, milliseconds since the epoch: the stream is ended then. */
  readonly expiresAt?: number | undefined;
  readonly sink: StreamSink;
}

/** An open stream, as whoever owns the sink sees it. */
export interface HubStream {
  /** The consumer has taken something. */
  drained(): void;
  /** The consumer is gone: frees everything. Further calls do nothing. */
  close(): void;
}

/** Whether a stream was opened; `retryAfterMs` differs for each who is refused. */
export type StreamAdmission =
  | { readonly state: 'open'; readonly stream: HubStream }
  | {
      readonly state: 'refused';
      readonly reason: 'limit' | 'closing' | 'unavailable';
      readonly retryAfterMs: number;
    };

/** What streams are opened with. */
export interface StreamsContext {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: HubCounters;
  readonly maxStreams: number;
  readonly maxPerTenant: number;
  readonly queueBytes: number;
  readonly replay: number;
  readonly stallMs: number;
  readonly heartbeatMs: number;
  readonly onError: (error: unknown) => void;
}

/** The side of a hub where streams go out. */
export interface Streams {
  connect(request: StreamRequest): Promise<StreamAdmission>;
  now(): Pick<HubMetrics, 'connections' | 'tenants' | 'behind'>;
  /** Ends all; those who listen come back within `spreadMs`, each at another time. */
  close(spreadMs: number): Promise<void>;
}

interface RoomEntry {
  readonly room: Room;
  readonly opened: Promise<void>;
  /** Streams in it, those about to open included. */
  users: number;
}

/** Longest delay of a timer. */
const maxTimerMs = 2 ** 31 - 1;
/** Over which time those who are refused come back. */
const refusalSpreadMs = 5_000;

/** Opens, feeds and ends streams; one timer serves all of them, and none runs while there is none. */
export function createStreams(context: StreamsContext): Streams {
  const { log, clock, random, counters, queueBytes, replay, heartbeatMs, onError } = context;
  const rooms = new Map<string, RoomEntry>();
  const streams = new Map<Connection, { entry: RoomEntry; expiry: Timer | undefined }>();
  const roomsClosing = new Set<Promise<void>>();
  let pending = 0;
  let ticking: Timer | undefined;
  let closing = false;

  function enter(tenant: string): RoomEntry {
    let entry = rooms.get(tenant);
    if (!entry) {
      const room = createRoom(tenant, {
        log,
        clock,
        counters,
        replay,
        queueBytes,
        onError,
        drop: (connection) => part(connection, 'unavailable', refusalSpreadMs * random()),
      });
      entry = { room, opened: room.open(), users: 0 };
      rooms.set(tenant, entry);
    }
    entry.users += 1;
    return entry;
  }

  function leave(entry: RoomEntry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    const { room } = entry;
    if (rooms.get(room.tenant) === entry) rooms.delete(room.tenant);
    const closed = room.close().catch(onError);
    roomsClosing.add(closed);
    void closed.then(() => roomsClosing.delete(closed));
  }

  function refuse(reason: 'limit' | 'closing' | 'unavailable'): StreamAdmission {
    counters.refused += 1;
    return { state: 'refused', reason, retryAfterMs: 1_000 + Math.round(refusalSpreadMs * random()) };
  }

  /** Frees a stream; whoever calls has ended the sink or knows that it has ended. */
  function release(connection: Connection): void {
    const held = streams.get(connection);
    if (!held) return;
    connection.closed = true;
    connection.live = false;
    clock.clearTimeout(held.expiry);
    streams.delete(connection);
    held.entry.room.remove(connection);
    leave(held.entry);
    if (streams.size === 0) {
      clock.clearTimeout(ticking);
      ticking = undefined;
    }
  }

  function part(connection: Connection, reason: string, retryMs: number): void {
    if (!streams.has(connection)) return;
    connection.sink.write(byeFrame(reason, Math.round(retryMs)));
    connection.sink.end();
    release(connection);
  }

  function tick(): void {
    ticking = clock.setTimeout(tick, heartbeatMs);
    const now = clock.now();
    for (const connection of [...streams.keys()]) {
      const { stalledSince, sink } = connection;
      // The time of day was set back since.
      if (stalledSince !== undefined && stalledSince > now) connection.stalledSince = now;
      if (stalledSince !== undefined && now - stalledSince >= context.stallMs) {
        counters.stalled += 1;
        sink.abort();
        release(connection);
      } else if (sink.room > 0) {
        sink.write(beatFrame);
        if (sink.room <= 0) connection.stalledSince ??= now;
      }
    }
    for (const { room } of rooms.values()) room.check().catch(onError);
  }

  function expire(connection: Connection): Timer | undefined {
    const { expiresAt } = connection;
    if (expiresAt === undefined) return undefined;
    const leftMs = Math.max(0, expiresAt - clock.now());
    return clock.setTimeout(
      () => {
        const held = streams.get(connection);
        if (!held) return;
        if (clock.now() >= expiresAt) part(connection, 'expired', 0);
        else held.expiry = expire(connection);
      },
      Math.min(leftMs, maxTimerMs),
    );
  }

  /** Where a stream begins, and what it has to be told first. */
  async function startOf(
    room: Room,
    lastEventId: string | undefined,
  ): Promise<{ start: LogPosition; gap?: StreamGapReason }> {
    if (lastEventId === undefined || lastEventId === '') return { start: room.head() };
    const position = parsePosition(lastEventId);
    if (!position) return { start: room.head(), gap: 'position' };
    // Another instance may have told the listener of events that have not arrived here.
    if (position.epoch === room.head().epoch && position.offset > room.head().offset) await room.check();
    const head = room.head();
    if (position.epoch !== head.epoch || position.offset > head.offset) return { start: head, gap: 'epoch' };
    return { start: position };
  }

  async function connect(request: StreamRequest): Promise<StreamAdmission> {
    const { tenant, lastEventId, expiresAt } = request;
    escapeTenant(tenant);
    if (expiresAt !== undefined && (typeof expiresAt !== 'number' || Number.isNaN(expiresAt))) {
      throw new ArgumentError(
        `expiresAt: ${String(expiresAt)} is no time; give milliseconds since the epoch`,
      );
    }
    if (closing) return refuse('closing');
    if (streams.size + pending >= context.maxStreams) return refuse('limit');
    if ((rooms.get(tenant)?.users ?? 0) >= context.maxPerTenant) return refuse('limit');
    const entry = enter(tenant);
    const { room } = entry;
    pending += 1;
    let opened = false;
    let begin: Awaited<ReturnType<typeof startOf>>;
    try {
      await entry.opened;
      opened = true;
      begin = await startOf(room, lastEventId);
    } catch (error) {
      onError(error);
      // The next one tries with a room of its own.
      if (!opened && rooms.get(tenant) === entry) rooms.delete(tenant);
      leave(entry);
      return refuse('unavailable');
    } finally {
      pending -= 1;
    }
    if (closing) {
      leave(entry);
      return refuse('closing');
    }
    const sink = guardedSink(request.sink, (error) => {
      onError(error);
      release(connection);
    });
    const connection: Connection = {
      position: begin.start,
      live: false,
      catchingUp: false,
      closed: false,
      missed: undefined,
      stalledSince: undefined,
      expiresAt,
      sink,
    };
    streams.set(connection, { entry, expiry: expire(connection) });
    room.add(connection);
    ticking ??= clock.setTimeout(tick, heartbeatMs);
    sink.write(
      helloFrame(begin.start, room.head().offset, heartbeatMs, 1_000 + Math.round(2_000 * random())),
    );
    if (begin.gap) room.gap(connection, begin.gap);
    void room.catchUp(connection);
    return {
      state: 'open',
      stream: {
        drained() {
          connection.stalledSince = undefined;
          if (!connection.live) void room.catchUp(connection);
        },
        close: () => release(connection),
      },
    };
  }

  return {
    connect,
    now() {
      let behind = 0;
      for (const { live } of streams.keys()) if (!live) behind += 1;
      return { connections: streams.size, tenants: rooms.size, behind };
    },
    async close(spreadMs) {
      closing = true;
      for (const connection of [...streams.keys()]) part(connection, 'closing', spreadMs * random());
      await Promise.all(roomsClosing);
    },
  };
}
