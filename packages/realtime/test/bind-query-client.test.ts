import { QueryClient, QueryObserver } from '@tanstack/query-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type BoundEvent,
  bindQueryClient,
  type EventClient,
  type KeysOfEvent,
} from '../src/tanstack/index.ts';
import { seeded } from './collect.ts';

vi.setConfig({ testTimeout: 60_000 });

/** A realtime client of which only the events matter. */
function eventSource() {
  const events = new Set<(event: BoundEvent) => void>();
  const gaps = new Set<(gap: { clock?: number }) => void>();
  const client: EventClient = {
    onEvent: (listener) => {
      events.add(listener);
      return () => events.delete(listener);
    },
    onGap: (listener) => {
      gaps.add(listener);
      return () => gaps.delete(listener);
    },
  };
  return {
    client,
    event: (type: string, data: unknown = null, clock?: number) => {
      for (const listener of events) listener({ type, data, ...(clock !== undefined && { clock }) });
    },
    gap: (gap: { clock?: number } = {}) => {
      for (const listener of gaps) listener(gap);
    },
    listeners: () => events.size + gaps.size,
  };
}

let queryClient: QueryClient;

/** A query over a number in a "database"; a fetch takes `fetchMs` and sees the number as it was when it began. */
function watched(queryKey: readonly unknown[], database: { n: number }, fetchMs = 50, enabled = true) {
  const shown: number[] = [];
  let fetches = 0;
  const observer = new QueryObserver<number>(queryClient, {
    queryKey,
    enabled,
    retry: false,
    queryFn: async () => {
      fetches += 1;
      const { n } = database;
      await new Promise((resolve) => setTimeout(resolve, fetchMs));
      return n;
    },
  });
  const unsubscribe = observer.subscribe(({ data }) => {
    if (data !== undefined && data !== shown.at(-1)) shown.push(data);
  });
  return {
    shown,
    unsubscribe,
    get fetches() {
      return fetches;
    },
    get data() {
      return observer.getCurrentResult().data;
    },
  };
}

function bind(map: Record<string, KeysOfEvent>, throttle?: number) {
  const source = eventSource();
  const binding = bindQueryClient(queryClient, {
    client: source.client,
    map,
    ...(throttle !== undefined && { throttle }),
  });
  return { ...source, binding };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  queryClient = new QueryClient();
  queryClient.mount();
});

afterEach(() => {
  queryClient.clear();
  queryClient.unmount();
  vi.useRealTimers();
});

describe('bindQueryClient()', () => {
  it('RC-10 fetches again what an event concerns, and nothing else', async () => {
    const { event } = bind({ sync_complete: [['accounts'], ['transactions']] });
    const database = { n: 1 };
    const accounts = watched(['accounts', 1], database);
    const settings = watched(['settings'], database);
    await pass(100);
    database.n = 2;
    event('sync_complete');
    event('unknown');
    event('toString');
    await pass(1_000);
    expect([accounts.fetches, accounts.data]).toEqual([2, 2]);
    expect([settings.fetches, settings.data]).toEqual([1, 1]);
  });

  it('an event during the first fetch leads to exactly one more, and the newest value is shown', async () => {
    const { event } = bind({ changed: [['calls']] });
    const database = { n: 1 };
    const calls = watched(['calls'], database);
    await pass(10);
    database.n = 2;
    event('changed');
    event('changed');
    event('changed');
    await pass(2_000);
    expect([calls.fetches, calls.data]).toEqual([2, 2]);
  });

  it('an event during a later fetch leads to exactly one more', async () => {
    const { event } = bind({ changed: [['calls']] });
    const database = { n: 1 };
    const calls = watched(['calls'], database);
    await pass(1_000);
    database.n = 2;
    event('changed');
    await pass(10);
    database.n = 3;
    event('changed');
    await pass(2_000);
    expect([calls.fetches, calls.data]).toEqual([3, 3]);
  });

  it('a stream of events faster than the fetch never starves it: results are shown, at a bounded rate', async () => {
    const { event } = bind({ changed: [['calls']] });
    const database = { n: 1 };
    const calls = watched(['calls'], database);
    await pass(500);
    for (let ms = 0; ms < 2_000; ms += 20) {
      database.n += 1;
      event('changed');
      await pass(20);
    }
    await pass(1_000);
    expect(calls.data).toBe(database.n);
    expect(calls.shown.length).toBeGreaterThanOrEqual(9);
    expect(calls.fetches).toBeLessThanOrEqual(13);
  });

  it('the first of a burst fetches at once and the last one is not forgotten', async () => {
    const { event } = bind({ changed: [['calls']] }, 500);
    const database = { n: 1 };
    const calls = watched(['calls'], database, 1);
    await pass(1_000);
    database.n = 2;
    event('changed');
    await pass(5);
    expect(calls.data).toBe(2);
    database.n = 3;
    event('changed');
    await pass(400);
    expect(calls.data).toBe(2);
    await pass(100);
    expect([calls.data, calls.fetches]).toEqual([3, 3]);
  });

  it('an event is not forgotten for as long as the clock was ahead when the time of day is set back', async () => {
    const { event } = bind({ changed: [['total']] });
    const database = { n: 1 };
    const total = watched(['total'], database, 10);
    await pass(20);
    database.n = 2;
    event('changed');
    await pass(20);
    expect(total.data).toBe(2);
    vi.setSystemTime(Date.now() - 3_600_000);
    database.n = 3;
    event('changed');
    await pass(300);
    expect(total.data).toBe(3);
  });

  it('a fetch that somebody else begins meanwhile counts', async () => {
    const { event } = bind({ changed: [['calls']] }, 500);
    const database = { n: 1 };
    const calls = watched(['calls'], database, 1);
    await pass(1_000);
    event('changed');
    await pass(5);
    database.n = 3;
    event('changed');
    void queryClient.refetchQueries({ queryKey: ['calls'] });
    await pass(2_000);
    expect([calls.data, calls.fetches]).toEqual([3, 3]);
  });

  it('a query that nobody shows is only marked stale, and one that is disabled is not fetched', async () => {
    const { event } = bind({ changed: [[]] });
    const database = { n: 1 };
    const calls = watched(['calls'], database);
    const off = watched(['off'], database, 50, false);
    await pass(100);
    calls.unsubscribe();
    event('changed');
    await pass(1_000);
    expect([calls.fetches, off.fetches]).toEqual([1, 0]);
    expect(queryClient.getQueryState(['calls'])?.isInvalidated).toBe(true);
  });

  it('a query that is left before its second fetch is stale when it is used next', async () => {
    const { event } = bind({ changed: [['calls']] });
    const calls = watched(['calls'], { n: 1 });
    await pass(10);
    event('changed');
    calls.unsubscribe();
    await pass(1_000);
    expect(calls.fetches).toBe(1);
    expect(queryClient.getQueryState(['calls'])?.isInvalidated).toBe(true);
  });

  it('a fetch that fails leaves the query stale, and the next event fetches it', async () => {
    const { event } = bind({ changed: [['calls']] });
    let failing = false;
    let n = 1;
    const observer = new QueryObserver(queryClient, {
      queryKey: ['calls'],
      retry: false,
      queryFn: async () => {
        if (failing) throw new Error('503');
        return n;
      },
    });
    observer.subscribe(() => {});
    await pass(100);
    failing = true;
    n = 2;
    event('changed');
    await pass(1_000);
    expect(observer.getCurrentResult()).toMatchObject({ data: 1, isStale: true });
    failing = false;
    event('changed');
    await pass(1_000);
    expect(observer.getCurrentResult().data).toBe(2);
  });

  it('a gap concerns every query', async () => {
    const { gap } = bind({});
    const database = { n: 1 };
    const [one, two] = [watched(['one'], database), watched(['two', { a: 1 }], database)];
    await pass(100);
    database.n = 2;
    gap();
    await pass(1_000);
    expect([one.data, two.data]).toEqual([2, 2]);
  });

  it('keys may depend on the event', async () => {
    const { event } = bind({ changed: ({ data }) => [['call', (data as { id: number }).id]] });
    const database = { n: 1 };
    const [one, two] = [watched(['call', 1], database), watched(['call', 2], database)];
    await pass(100);
    event('changed', { id: 2 });
    await pass(1_000);
    expect([one.fetches, two.fetches]).toEqual([1, 2]);
  });

  it('ends with the database in 1,000 random schedules', async () => {
    for (let seed = 1; seed <= 1_000; seed += 1) {
      const random = seeded(seed);
      const { event, binding } = bind({ changed: [['n']] }, 20 + Math.floor(random() * 200));
      const database = { n: 1 };
      const query = watched(['n'], database, 1 + Math.floor(random() * 120));
      for (let step = 0; step < 15; step += 1) {
        database.n += 1;
        event('changed');
        if (random() < 0.1) void queryClient.refetchQueries({ queryKey: ['n'] });
        await pass(Math.floor(random() * 90));
      }
      await pass(1_000);
      expect(query.data, `seed ${seed}`).toBe(database.n);
      expect(query.fetches).toBeLessThanOrEqual(20);
      query.unsubscribe();
      binding.dispose();
      queryClient.clear();
    }
  }, 60_000);

  it('lets go of everything when it is disposed of, any number of times', async () => {
    const { event, binding, listeners } = bind({ changed: [['calls']] });
    const calls = watched(['calls'], { n: 1 });
    await pass(1_000);
    event('changed');
    await pass(100);
    event('changed');
    binding.dispose();
    binding.dispose();
    expect(listeners()).toBe(0);
    event('changed');
    await pass(2_000);
    expect(calls.fetches).toBe(2);
  });

  it.each([
    [{ client: {} as never, map: {} }],
    [{ client: eventSource().client, map: undefined as never }],
    [{ client: eventSource().client, map: {}, throttle: 'soon' as '1s' }],
    [{ client: eventSource().client, map: {}, throtle: 3 } as never],
  ])('refuses the options %#', (options) => {
    expect(() => bindQueryClient(queryClient, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

describe('binding.init()', () => {
  it('asks for nothing older than the newest event that concerns the key, past the HTTP cache of the browser', () => {
    const { event, binding } = bind({ changed: [['calls']], totals: [['totals']] });
    expect(binding.init(['calls'])).toEqual({});
    event('changed', null, 10);
    event('changed', null, 30);
    event('changed', null, 20);
    event('totals', null, 99);
    expect(binding.init(['calls', { page: 2 }])).toEqual({
      headers: { 'X-CacheKit-Clock': '30' },
      cache: 'no-cache',
    });
    expect(binding.init(['devices'])).toEqual({});
  });

  it('matches keys as TanStack Query does: a prefix, and objects with at least the members asked for', () => {
    const { event, binding } = bind({ changed: [['calls', { device: 1 }]] });
    event('changed', null, 10);
    expect(binding.init(['calls', { device: 1, page: 2 }, 'x'])).toHaveProperty('headers');
    for (const other of [['calls'], ['calls', { device: 2 }], ['calls', { page: 2 }], ['x', { device: 1 }]]) {
      expect(binding.init(other)).toEqual({});
    }
  });

  it('after an event without a clock and after a gap, at least passes the HTTP cache by', () => {
    const { event, gap, binding } = bind({ changed: [['calls']] });
    event('changed');
    expect(binding.init(['calls'])).toEqual({ cache: 'no-cache' });
    gap();
    expect(binding.init(['anything'])).toEqual({ cache: 'no-cache' });
    gap({ clock: 50 });
    expect(binding.init(['anything'])).toHaveProperty('headers', { 'X-CacheKit-Clock': '50' });
  });

  it('keeps a bounded number of keys, and asks for too much rather than too little of those it forgot', () => {
    const { event, binding } = bind({ changed: ({ data }) => [['call', data]] });
    for (let id = 1; id <= 3_000; id += 1) event('changed', id, id);
    expect(binding.init(['call', 3_000])).toHaveProperty('headers', { 'X-CacheKit-Clock': '3000' });
    expect(
      Number(new Headers(binding.init(['call', 5]).headers).get('X-CacheKit-Clock')),
    ).toBeGreaterThanOrEqual(5);
  });

  it('a fetch that follows an event carries its clock', async () => {
    const { event, binding } = bind({ changed: [['calls']] });
    const sent: RequestInit[] = [];
    const observer = new QueryObserver(queryClient, {
      queryKey: ['calls'],
      queryFn: ({ queryKey }) => sent.push(binding.init(queryKey)),
    });
    observer.subscribe(() => {});
    await pass(10);
    event('changed', null, 7);
    await pass(1_000);
    expect(sent).toEqual([{}, { headers: { 'X-CacheKit-Clock': '7' }, cache: 'no-cache' }]);
  });
});
