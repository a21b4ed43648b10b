import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  systemClock,
  type TierClock,
  type Timer,
} from '@cachekit/core';
import { createKnownClocks } from './known-clocks.ts';
import type { QueryClientLike, QueryLike } from './query-client-like.ts';
import type { QueryKeyLike } from './query-key.ts';

/** An event, as far as the binding reads it. */
export interface BoundEvent {
  readonly type: string;
  readonly data: unknown;
  readonly clock?: TierClock;
}

/** The part of a realtime client that is used. */
export interface EventClient<Event extends BoundEvent = BoundEvent> {
  /** Hears every event; returns the function that ends it. */
  onEvent(listener: (event: Event) => void): () => void;
  /** Hears every gap; returns the function that ends it. */
  onGap(listener: (gap: { readonly clock?: TierClock }) => void): () => void;
}

/** The keys that an event makes old: every query whose key begins with one of them. */
export type KeysOfEvent<Event extends BoundEvent = BoundEvent> =
  | readonly QueryKeyLike[]
  | ((event: Event) => readonly QueryKeyLike[]);

/** Options of {@link bindQueryClient}. */
export interface BindQueryClientOptions<Event extends BoundEvent = BoundEvent> {
  /** From `createRealtimeClient`. The caller connects and closes it. */
  readonly client: EventClient<Event>;
  /** By event type; an event without an entry concerns no query. */
  readonly map: { readonly [Type in Event['type']]?: KeysOfEvent<Extract<Event, { type: Type }>> };
  /** Shortest time between the beginnings of two fetches of one query. @defaultValue "200ms" */
  readonly throttle?: Duration;
  readonly clock?: Clock;
}

/** A binding between events and queries. */
export interface QueryClientBinding {
  /**
   * What a `queryFn` gives to `fetch`, so that neither CacheKit nor the browser's HTTP cache answers with a value
   * from before an event that concerns the key. Empty when there was none.
   */
  init(queryKey: QueryKeyLike): RequestInit;
  /** Ends the binding and its timers; queries stay as they are. */
  dispose(): void;
}

/** Header that carries the clock of an event to the read that follows it. */
export const clockHeader = 'X-CacheKit-Clock';

/** A query that has something to fetch. */
interface Task {
  readonly query: QueryLike;
  /** Something changed after the fetch under way, if any, began. */
  dirty: boolean;
  /** When the last fetch that was asked for here began. */
  fetchedAt: number;
  timer: Timer | undefined;
}

/**
 * Fetches queries again when events say that they are old.
 *
 * | the query is          | an event that concerns it                                                            |
 * | --------------------- | ------------------------------------------------------------------------------------ |
 * | active, at rest       | fetches at once, then at most once per `throttle`, the last event included           |
 * | fetching              | lets the fetch end, then fetches exactly once more; also during the very first fetch |
 * | inactive or disabled  | is marked stale and fetched when it is next used                                     |
 *
 * A fetch is never cancelled to start it again, so a stream of events faster than the fetch still shows every result.
 * A gap concerns every query.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option or one that cannot be worked with.
 * @example
 * const binding = bindQueryClient(queryClient, {
 *   client,
 *   map: {
 *     'call.created': [['calls'], ['totals']],
 *     'call.status-changed': ({ data }) => [['call', data.id], ['calls']],
 *   },
 * });
 * queryClient.setQueryDefaults(['calls'], {
 *   queryFn: async ({ queryKey }) => (await fetch('/api/calls', binding.init(queryKey))).json(),
 * });
 */
export function bindQueryClient<Event extends BoundEvent = BoundEvent>(
  queryClient: QueryClientLike,
  options: BindQueryClientOptions<Event>,
): QueryClientBinding {
  assertKnownOptions('bindQueryClient', options, ['client', 'map', 'throttle', 'clock']);
  const { client, map, clock = systemClock } = options;
  const throttleMs = durationMs(options.throttle ?? '200ms', 'throttle');
  if (typeof queryClient?.getQueryCache !== 'function' || typeof client?.onEvent !== 'function' || !map) {
    throw new ConfigurationError('bindQueryClient takes a QueryClient, the realtime client and a map');
  }
  const byType = new Map(Object.entries(map) as [Event['type'], KeysOfEvent<Event> | undefined][]);
  const cache = queryClient.getQueryCache();
  const tasks = new Map<string, Task>();
  const clocks = createKnownClocks();
  let disposed = false;

  function touch(key: QueryKeyLike, tierClock: TierClock | undefined): void {
    clocks.note(key, tierClock);
    for (const query of cache.findAll(key.length > 0 ? { queryKey: key } : {})) makeOld(query);
  }

  function makeOld(query: QueryLike): void {
    const task = tasks.get(query.queryHash) ?? {
      query,
      dirty: false,
      fetchedAt: -Infinity,
      timer: undefined,
    };
    tasks.set(query.queryHash, task);
    task.dirty = true;
    advance(task);
  }

  /** Does for a query what can be done now; called again whenever something about it changes. */
  function advance(task: Task): void {
    const { query } = task;
    if (!task.dirty || query.state.fetchStatus !== 'idle') return;
    if (!query.isActive() || query.isDisabled()) {
      task.dirty = false;
      ignoreFailure(invalidate(query, 'none'));
      return;
    }
    const now = clock.now();
    // Of a time of day that was set back since, it would wait for as long as the clock was ahead.
    task.fetchedAt = Math.min(task.fetchedAt, now);
    const leftMs = task.fetchedAt + throttleMs - now;
    if (leftMs <= 0) fetchAgain(task);
    else
      task.timer ??= clock.setTimeout(() => {
        task.timer = undefined;
        advance(task);
      }, leftMs);
  }

  /** Whoever began it: it brings what has changed until now. */
  function fetchBegan(task: Task): void {
    clock.clearTimeout(task.timer);
    task.timer = undefined;
    task.dirty = false;
    task.fetchedAt = clock.now();
  }

  function fetchAgain(task: Task): void {
    fetchBegan(task);
    ignoreFailure(invalidate(task.query, 'active'));
  }

  function invalidate({ queryKey }: QueryLike, refetchType: 'active' | 'none'): Promise<void> {
    return queryClient.invalidateQueries({ queryKey, exact: true, refetchType }, { cancelRefetch: false });
  }

  function forget(hash: string): void {
    const task = tasks.get(hash);
    clock.clearTimeout(task?.timer);
    tasks.delete(hash);
  }

  const ends = [
    client.onEvent((event) => {
      const keys = byType.get(event.type);
      if (!keys) return;
      for (const key of typeof keys === 'function' ? keys(event) : keys) touch(key, event.clock);
    }),
    client.onGap((gap) => touch([], gap.clock)),
    cache.subscribe(({ type, query, action }) => {
      const { queryHash } = query as QueryLike;
      const task = tasks.get(queryHash);
      if (!task) return;
      if (type === 'removed') forget(queryHash);
      else if (type === 'updated' && action?.type === 'fetch') fetchBegan(task);
      else if (type === 'updated' || type.startsWith('observer')) advance(task);
    }),
  ];

  return {
    init(queryKey) {
      const known = clocks.of(queryKey);
      if (!known) return {};
      if (known.clock === undefined) return { cache: 'no-cache' };
      return { headers: { [clockHeader]: String(known.clock) }, cache: 'no-cache' };
    },
    dispose() {
      if (disposed) return;
      disposed = true;
      for (const end of ends) end();
      for (const hash of [...tasks.keys()]) forget(hash);
    },
  };
}

/** The query keeps its error for whoever observes it. */
function ignoreFailure(work: Promise<void>): void {
  work.catch(() => {});
}
