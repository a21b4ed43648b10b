import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  escapeTenant,
  systemClock,
  type TierClock,
  type Timer,
} from '@cachekit/core';
import { assertEventType, assertTenant, encodeBody, type RealtimeEventInput } from '../events/event.ts';
import { createListeners } from '../listeners.ts';
import type { EventLog, NewLogRecord } from '../log/event-log.ts';
import { formatPosition, type LogPosition, parsePosition } from '../position.ts';
import type { Connection, StreamSink } from './connection.ts';
import { beatFrame, byeFrame, frameType, gapBody, helloFrame, type StreamGapReason } from './frame.ts';
import { type HubMetrics, newCounters } from './hub-metrics.ts';
import { createRoom, type Room } from './room.ts';

/** Options of {@link createHub}. */
export interface HubOptions {
  /** `createRedisLog` to work across instances, `createMemoryLog` for one process. The caller closes it. */
  readonly log: EventLog;
  /** How often every stream shows that it lives. @defaultValue "15s" */
  readonly heartbeat?: Duration;
  /** Most open streams. @defaultValue `{ streams: 10_000, perTenant: 1_000 }` */
  readonly limits?: { readonly streams?: number; readonly perTenant?: number };
  /**
   * Of one stream: `bytes` are queued for a slow consumer, then only its position is kept; one that takes nothing
   * for `stall` is cut. @defaultValue `{ bytes: 262_144, stall: "30s" }`
   */
  readonly queue?: { readonly bytes?: number; readonly stall?: Duration };
  /** Most events replayed to one that comes back; beyond that it gets a gap. @defaultValue 500 */
  readonly replay?: number;
  readonly clock?: Clock;
  /** Numbers in [0, 1), to spread reconnections. @defaultValue Math.random */
  readonly random?: () => number;
}

/** What became of events given to `publish`. */
export interface PublishResult {
  readonly appended: number;
  /** Events whose origin the log had already. */
  readonly repeated: number;
}

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

/** Takes events in and hands each to the listeners of its tenant, on every instance that shares the log. */
export interface Hub {
  /**
   * Appends events to the logs of their tenants, in order; resolves when the logs have them.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` for a type, tenant or data that cannot be sent; then none was appended.
   */
  publish(events: readonly RealtimeEventInput[]): Promise<PublishResult>;
  /**
   * Tells the listeners of `tenant` (without one: of every tenant) that changes may have been missed, those too who
   * come back later. A read that asks for `clock` gets nothing older than what was missed.
   */
  gap(about?: {
    readonly tenant?: string | undefined;
    readonly clock?: TierClock | undefined;
  }): Promise<void>;
  /** Where the log of a tenant is, as text for `Last-Event-ID`. */
  position(tenant: string): Promise<string>;
  /** Opens a stream; `sseHandler` does this for HTTP. */
  connect(request: StreamRequest): Promise<StreamAdmission>;
  /** What `queue.bytes` is: the high-water mark of a sink. */
  readonly queueBytes: number;
  metrics(): HubMetrics;
  /** Hears of failures that heal by themselves (the log cannot be reached); returns the function that ends it. */
  onError(listener: (error: unknown) => void): () => void;
  /** Gives a failure to the listeners of `onError`; for stages and adapters around the hub. */
  reportError(error: unknown): void;
  /** Says goodbye to every stream and ends it. Listeners come back, spread over `spread` (default `"5s"`). */
  close(options?: { spread?: Duration }): Promise<void>;
}

interface RoomEntry {
  readonly room: Room;
  readonly opened: Promise<void>;
  /** Streams in it, those about to open included. */
  users: number;
}

/** Longest delay of a timer. */
const maxTimerMs = 2 ** 31 - 1;
/** Tenants that are told of something at the same time. */
const broadcastWidth = 64;
/** Over which time those who are refused come back. */
const refusalSpreadMs = 5_000;

/**
 * Makes a hub: the place where events come in and streams go out.
 *
 * A stream gets every event after the position it came with, in the order of the log, none twice and none left out;
 * where that cannot be, it gets a gap. A slow consumer costs at most `queue.bytes` and the events of one append, and
 * is brought up from the log. An event is encoded once per instance, whatever the number of streams.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option or one that cannot be worked with.
 * @example
 * const hub = createHub({ log: createMemoryLog() });
 * await hub.publish([{ type: 'sync_complete', tenant: 'acme', data: { accounts: 3 } }]);
 */
export function createHub(options: HubOptions): Hub {
  assertKnownOptions('createHub', options, [
    'log',
    'heartbeat',
    'limits',
    'queue',
    'replay',
    'clock',
    'random',
  ]);
  const { log, limits = {}, queue = {}, clock = systemClock, random = Math.random } = options;
  if (typeof log?.append !== 'function') {
    throw new ConfigurationError('createHub: log is an event log, such as createMemoryLog()');
  }
  assertKnownOptions('createHub limits', limits, ['streams', 'perTenant']);
  assertKnownOptions('createHub queue', queue, ['bytes', 'stall']);
  const maxStreams = count(limits.streams ?? 10_000, 'limits.streams');
  const maxPerTenant = count(limits.perTenant ?? 1_000, 'limits.perTenant');
  const queueBytes = count(queue.bytes ?? 262_144, 'queue.bytes');
  const replay = count(options.replay ?? 500, 'replay');
  const stallMs = durationMs(queue.stall ?? '30s', 'queue.stall');
  const heartbeatMs = durationMs(options.heartbeat ?? '15s', 'heartbeat');
  if (heartbeatMs < 1) throw new ConfigurationError('heartbeat: longer than 0');

  const counters = newCounters();
  const rooms = new Map<string, RoomEntry>();
  const streams = new Map<Connection, { entry: RoomEntry; expiry: Timer | undefined }>();
  const roomsClosing = new Set<Promise<void>>();
  // A listener for failures that fails itself has nobody left to tell.
  const errors = createListeners<[error: unknown]>(() => {});
  let pending = 0;
  let ticking: Timer | undefined;
  let closing = false;

  const onError = (error: unknown): void => errors.emit(error);

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
      if (stalledSince !== undefined && now - stalledSince >= stallMs) {
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
    const { tenant, lastEventId, sink, expiresAt } = request;
    escapeTenant(tenant);
    if (closing) return refuse('closing');
    if (streams.size + pending >= maxStreams) return refuse('limit');
    if ((rooms.get(tenant)?.users ?? 0) >= maxPerTenant) return refuse('limit');
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
    const connection: Connection = {
      position: begin.start,
      live: false,
      catchingUp: false,
      closed: false,
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

  async function append(
    tenant: string,
    records: readonly NewLogRecord[],
    result: { appended: number; repeated: number },
  ): Promise<void> {
    const { appended, repeated } = await log.append(tenant, records);
    result.appended += appended;
    result.repeated += repeated;
    counters.published += appended;
    counters.repeated += repeated;
  }

  async function broadcast(
    record: NewLogRecord,
    result: { appended: number; repeated: number },
  ): Promise<void> {
    for await (const tenants of log.tenants()) {
      for (let i = 0; i < tenants.length; i += broadcastWidth) {
        const some = tenants.slice(i, i + broadcastWidth);
        await settled(some.map((tenant) => append(tenant, [record], result)));
      }
    }
  }

  async function publish(events: readonly RealtimeEventInput[]): Promise<PublishResult> {
    const records = events.map((event) => {
      assertEventType(event.type);
      assertTenant(event.tenant);
      return { type: event.type, body: encodeBody(event), origin: event.origin };
    });
    const result = { appended: 0, repeated: 0 };
    let ofTenants = new Map<string, NewLogRecord[]>();
    const flush = async (): Promise<void> => {
      const batch = ofTenants;
      ofTenants = new Map();
      await settled([...batch].map(([tenant, own]) => append(tenant, own, result)));
    };
    for (const [index, { tenant }] of events.entries()) {
      const record = records[index] as NewLogRecord;
      if (tenant === undefined) {
        await flush();
        await broadcast(record, result);
      } else {
        const own = ofTenants.get(tenant);
        if (own) own.push(record);
        else ofTenants.set(tenant, [record]);
      }
    }
    await flush();
    return result;
  }

  return {
    publish,
    async gap({ tenant, clock: tierClock } = {}) {
      assertTenant(tenant);
      const record = { type: frameType.gap, body: gapBody('source', tierClock) };
      const result = { appended: 0, repeated: 0 };
      if (tenant === undefined) await broadcast(record, result);
      else await append(tenant, [record], result);
    },
    async position(tenant) {
      return formatPosition(await log.position(tenant));
    },
    connect,
    queueBytes,
    metrics() {
      let behind = 0;
      for (const { live } of streams.keys()) if (!live) behind += 1;
      return { connections: streams.size, tenants: rooms.size, behind, ...counters };
    },
    onError: (listener) => errors.add(listener),
    reportError: onError,
    async close({ spread = '5s' } = {}) {
      const spreadMs = durationMs(spread, 'spread');
      closing = true;
      for (const connection of [...streams.keys()]) part(connection, 'closing', spreadMs * random());
      await Promise.all(roomsClosing);
    },
  };
}

/** Waits for all and rejects with the first failure, so that nothing goes on behind the caller's back. */
async function settled(all: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(all);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function count(value: number, name: string): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new ConfigurationError(`${name}: ${String(value)} is none; give an integer >= 1`);
}
