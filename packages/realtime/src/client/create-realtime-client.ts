import {
  assertKnownOptions,
  ConfigurationError,
  type Duration,
  durationMs,
  systemClock,
  type Timer,
} from '@cachekit/core';
import { createListeners, type Listeners } from '../listeners.ts';
import { formatPosition, type LogPosition, parsePosition } from '../position.ts';
import { type BackoffRange, backoffMs } from './backoff.ts';
import { type ConnectionEvent, type ConnectionState, transitions } from './connection-state.ts';
import { type Body, finite, parseBody, reasonOf } from './frame-body.ts';
import { type HostLike, watchHost } from './host.ts';
import type { RealtimeClient, RealtimeClientOptions } from './realtime-client.ts';
import type { EventMap, RealtimeEvent, RealtimeGap } from './realtime-event.ts';
import type { SseEvent } from './sse-parse.ts';
import { readStream, type StreamEnd } from './stream.ts';

/** Before the server has said how often it beats. */
const firstFrameMs = 20_000;
/** Silence after which a stream counts as dead, in heartbeats. */
const silentBeats = 2.5;
/** A stream that lived this long forgives the failures before it. */
const provenMs = 10_000;

/**
 * Makes a client that keeps one stream of events open over `fetch`, in browsers and in Node.
 *
 * Events come in the order of the log, each once: a stream that breaks resumes behind the last event received. Where
 * that is not possible `onGap` is told, and only then can something be missing. Network failures and every status but
 * 200, 401 and 403 are tried again for ever; 401 and 403 once more with fresh headers. A stream that is silent for
 * 2.5 heartbeats by the wall clock (a sleeping laptop, a dead proxy) is replaced. A listener that throws disturbs no
 * other.
 *
 * Nothing is opened before `connect()`. In Node the wait between two attempts does not keep a process alive.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option or one that cannot be worked with.
 * @example
 * const client = createRealtimeClient<EventsOf<typeof events>>({
 *   url: '/api/events',
 *   headers: async () => ({ Authorization: `Bearer ${await token()}` }),
 * });
 * const off = client.on('call.created', (call) => show(call.id));
 * client.onGap(({ reason }) => {
 *   if (reason !== 'started') reloadEverything();
 * });
 * client.connect();
 */
export function createRealtimeClient<Events extends EventMap = EventMap>(
  options: RealtimeClientOptions,
): RealtimeClient<Events> {
  assertKnownOptions('createRealtimeClient', options, [
    'url',
    'headers',
    'position',
    'backoff',
    'fetch',
    'clock',
    'random',
    'host',
  ]);
  const { url, headers = {}, clock = systemClock, random = Math.random } = options;
  const { host = globalThis as HostLike } = options;
  if (!url || !(typeof url === 'string' || url instanceof URL)) {
    throw new ConfigurationError('createRealtimeClient: url is the address of the event stream');
  }
  const range = backoffRange(options.backoff ?? {});
  const send = options.fetch ?? ((input, init) => fetch(input, init));

  const byType = new Map<string, Listeners<[data: unknown, event: RealtimeEvent]>>();
  const errors = createListeners<[error: unknown]>(reportUnheard);
  const onThrow = (error: unknown): void => (errors.size > 0 ? errors.emit(error) : reportUnheard(error));
  const events = createListeners<[event: RealtimeEvent]>(onThrow);
  const states = createListeners<[state: ConnectionState, before: ConnectionState]>(onThrow);
  const gaps = createListeners<[gap: RealtimeGap]>(onThrow);

  let state: ConnectionState = 'idle';
  let position = startPosition(options.position);
  let failures = 0;
  let refusals = 0;
  /** What the server asked to wait before the next attempt. */
  let floorMs = 0;
  let head = 0;
  let silenceMs = firstFrameMs;
  let heardAt = 0;
  let openedAt: number | undefined;
  let attempt: AbortController | undefined;
  let timer: Timer | undefined;
  let unwatch: (() => void) | undefined;

  function happen(event: ConnectionEvent): void {
    const before = state;
    const next = transitions[before][event];
    if (next === before) return;
    state = next;
    enter(next, before);
    // A listener may have gone on already.
    if (state === next) states.emit(next, before);
  }

  /** What a state does when it begins; nothing else starts or ends a stream or a wait. */
  function enter(next: ConnectionState, before: ConnectionState): void {
    if (next === 'live' || next === 'replaying') return;
    clock.clearTimeout(timer);
    timer = undefined;
    attempt?.abort();
    attempt = undefined;
    if (next === 'connecting') {
      if (before === 'idle' || before === 'closed' || before === 'denied') begin();
      start();
    } else if (next === 'stale' || next === 'backoff') {
      if (openedAt !== undefined && clock.now() - openedAt >= provenMs) failures = 0;
      wait(backoffMs(range, failures, random, floorMs));
      failures += 1;
      floorMs = 0;
    } else if (next === 'offline') {
      // A device may be wrong about itself.
      wait(range.maxMs);
    } else {
      unwatch?.();
      unwatch = undefined;
    }
  }

  function begin(): void {
    failures = 0;
    refusals = 0;
    floorMs = 0;
    unwatch ??= watchHost(host, {
      online: () => happen('online'),
      offline: () => happen('offline'),
      awake: () => {
        if (state === 'backoff' || state === 'offline') happen('attempt');
        else listenForSilence();
      },
    });
  }

  function wait(delayMs: number): void {
    timer = clock.setTimeout(() => happen('attempt'), delayMs);
  }

  /** By the wall clock, because a device that sleeps stops its timers and not the time. */
  function listenForSilence(): void {
    if (!attempt) return;
    clock.clearTimeout(timer);
    const now = clock.now();
    // Of a time of day that was set back since, it would be silent for as long as the clock was ahead.
    heardAt = Math.min(heardAt, now);
    const leftMs = heardAt + silenceMs - now;
    if (leftMs <= 0) happen('silent');
    else timer = clock.setTimeout(listenForSilence, Math.min(leftMs, silenceMs));
  }

  function start(): void {
    const own = new AbortController();
    attempt = own;
    openedAt = undefined;
    silenceMs = firstFrameMs;
    heardAt = clock.now();
    listenForSilence();
    const attempted = readStream({
      url,
      headers,
      fetch: send,
      lastEventId: position && formatPosition(position),
      signal: own.signal,
      now: () => clock.now(),
      heard: () => {
        heardAt = clock.now();
      },
      receive,
    });
    void attempted.then((end) => over(own, end));
  }

  function over(own: AbortController, end: StreamEnd): void {
    if (attempt !== own) return;
    if (end.error !== undefined) errors.emit(end.error);
    floorMs = Math.max(floorMs, end.floorMs);
    if (end.outcome === 'refused' && refusals === 0) {
      // A token may have expired on the way: once more with fresh headers.
      refusals = 1;
      start();
    } else {
      happen(end.outcome);
    }
  }

  function receive({ type, id, data }: SseEvent): void {
    const body = parseBody(data);
    if (type === 'ck.hello') greeted(body);
    else if (type === 'ck.gap') missed(id, body);
    else if (type === 'ck.bye') floorMs = finite(body.retryMs) ?? 0;
    else if (!type.startsWith('ck.')) arrived(type, id, body);
  }

  function greeted(body: Body): void {
    const epoch = String(body.epoch);
    const at = parsePosition(`${epoch}.${String(body.offset)}`);
    if (!at) throw new Error('The event stream does not begin as one of CacheKit');
    openedAt = clock.now();
    refusals = 0;
    head = finite(body.head) ?? at.offset;
    silenceMs = silentBeats * Math.max(10, finite(body.heartbeatMs) ?? 15_000);
    listenForSilence();
    if (position === undefined) {
      position = at;
      gaps.emit({ reason: 'started', position: formatPosition(at) });
    }
    happen(at.offset < head ? 'behind' : 'caughtUp');
  }

  function missed(id: string, body: Body): void {
    const at = parsePosition(id);
    if (!at) return;
    position = at;
    const reason = reasonOf(body.data);
    const tierClock = finite(body.clock);
    gaps.emit({ reason, position: id, ...(tierClock !== undefined && { clock: tierClock }) });
    if (at.offset >= head || reason !== 'source') happen('caughtUp');
  }

  function arrived(type: string, id: string, body: Body): void {
    const at = parsePosition(id);
    if (!at) return;
    if (position?.epoch === at.epoch && at.offset <= position.offset) return;
    position = at;
    const event = { ...body, type, id, data: body.data } as RealtimeEvent;
    events.emit(event);
    byType.get(type)?.emit(event.data, event);
    if (at.offset >= head) happen('caughtUp');
  }

  return {
    get state() {
      return state;
    },
    get position() {
      return position && formatPosition(position);
    },
    on(type, listener) {
      let ofType = byType.get(type);
      if (!ofType) {
        ofType = createListeners(onThrow);
        byType.set(type, ofType);
      }
      return ofType.add(listener as (data: unknown, event: RealtimeEvent) => void);
    },
    onEvent: (listener) => events.add(listener as (event: RealtimeEvent) => void),
    onState: (listener) => states.add(listener),
    onGap: (listener) => gaps.add(listener),
    onError: (listener) => errors.add(listener),
    connect: () => happen('connect'),
    close: () => happen('close'),
  };
}

function startPosition(text: string | null | undefined): LogPosition | undefined {
  if (text === undefined || text === null) return undefined;
  const position = typeof text === 'string' ? parsePosition(text) : undefined;
  if (position) return position;
  throw new ConfigurationError(`position: ${JSON.stringify(text)} is none; give an X-CacheKit-Pos header`);
}

function backoffRange({
  min = '500ms',
  max = '30s',
  ...rest
}: Partial<Record<'min' | 'max', Duration>>): BackoffRange {
  assertKnownOptions('createRealtimeClient backoff', rest, ['min', 'max']);
  const minMs = durationMs(min, 'backoff.min');
  const maxMs = durationMs(max, 'backoff.max');
  if (minMs > 0 && minMs <= maxMs) return { minMs, maxMs };
  throw new ConfigurationError(
    `backoff: min is longer than 0 and not longer than max; got ${min} and ${max}`,
  );
}

function reportUnheard(error: unknown): void {
  (globalThis as { reportError?: (error: unknown) => void }).reportError?.(error);
}
