import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  systemClock,
} from '@cachekit/core';
import type { RealtimeEventInput } from '../events/event.ts';
import { createListeners } from '../listeners.ts';
import type { EventLog } from '../log/event-log.ts';
import { formatPosition } from '../position.ts';
import { type HubMetrics, newCounters } from './hub-metrics.ts';
import { createPublisher, type GapNotice, type PublishResult } from './publisher.ts';
import { createStreams, type StreamAdmission, type StreamRequest } from './streams.ts';

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

/** Takes events in and hands each to the listeners of its tenant, on every instance that shares the log. */
export interface Hub {
  /**
   * Appends events to the logs of their tenants, in order; resolves when the logs have them. Where a log does not answer it
   * rejects, and whether the log has them is not known: with the same `origin` they may be published again.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` for a type, tenant or data that cannot be sent; then none was appended.
   */
  publish(events: readonly RealtimeEventInput[]): Promise<PublishResult>;
  /** Tells listeners that changes may have been missed, those too who come back later. */
  gap(about?: GapNotice): Promise<void>;
  /** Where the log of a tenant is, as text for `Last-Event-ID`. */
  position(tenant: string): Promise<string>;
  /**
   * Opens a stream; `sseHandler` does this for HTTP.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` for a tenant or an `expiresAt` that is none.
   */
  connect(request: StreamRequest): Promise<StreamAdmission>;
  /** What `queue.bytes` is: the high-water mark of a sink. */
  readonly queueBytes: number;
  /** What was counted since the start. */
  metrics(): HubMetrics;
  /** Hears of failures that heal by themselves (the log cannot be reached); returns the function that ends it. */
  onError(listener: (error: unknown) => void): () => void;
  /** Gives a failure to the listeners of `onError`; for stages and adapters around the hub. */
  reportError(error: unknown): void;
  /** Says goodbye to every stream and ends it. Listeners come back, spread over `spread` (default `"5s"`). */
  close(options?: { spread?: Duration }): Promise<void>;
}

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
  // A listener for failures that fails itself has nobody left to tell.
  const errors = createListeners<[error: unknown]>(() => {});
  const reportError = (error: unknown): void => errors.emit(error);
  const publisher = createPublisher(log, counters);
  const streams = createStreams({
    log,
    clock,
    random,
    counters,
    maxStreams,
    maxPerTenant,
    queueBytes,
    replay,
    stallMs,
    heartbeatMs,
    onError: reportError,
  });

  return {
    publish: publisher.publish,
    gap: (about = {}) => publisher.gap(about),
    position: async (tenant) => formatPosition(await log.position(tenant)),
    connect: streams.connect,
    queueBytes,
    metrics: () => ({ ...streams.now(), ...counters }),
    onError: (listener) => errors.add(listener),
    reportError,
    close: async ({ spread = '5s' } = {}) => streams.close(durationMs(spread, 'spread')),
  };
}

function count(value: number, name: string): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new ConfigurationError(`${name}: ${String(value)} is none; give an integer >= 1`);
}
