import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type ConnectionState,
  createRealtimeClient,
  type RealtimeClient,
  type RealtimeClientOptions,
  type RealtimeGap,
} from '../src/client/index.ts';
import { createHub, createMemoryLog, type EventLog, type Hub, sseHandler } from '../src/index.ts';
import { seeded, upTo } from './collect.ts';

vi.setConfig({ testTimeout: 60_000 });

type Answer = (request: Request) => Response | Promise<Response>;

/** A server in this process: what it answers can be changed, and streams can be cut. */
function server(log: EventLog = createMemoryLog()) {
  const requests: Request[] = [];
  const cuts = new Set<() => void>();
  let hub: Hub = createHub({ log, random: seeded(3) });
  const serving: Answer = async (request) => {
    const response = await sseHandler(hub, { authenticate: () => ({ tenant: 'a' }) })(request);
    if (!response.body) return response;
    const { body, cut } = cuttable(response.body);
    cuts.add(cut);
    return new Response(body, response);
  };
  const state = { answer: serving };
  return {
    requests,
    serving,
    state,
    get hub() {
      return hub;
    },
    publish: (...data: unknown[]) =>
      hub.publish(data.map((each) => ({ type: 'changed', tenant: 'a', data: each }))),
    cut: () => {
      for (const cut of cuts) cut();
      cuts.clear();
    },
    restart: async (next: EventLog = log) => {
      await hub.close();
      hub = createHub({ log: next, random: seeded(4) });
    },
    fetch: async (url: string | URL, init: RequestInit): Promise<Response> => {
      const request = new Request(new URL(url, 'http://host'), init);
      requests.push(request);
      return state.answer(request);
    },
  };
}

function cuttable(source: ReadableStream<Uint8Array>): { body: ReadableStream<Uint8Array>; cut: () => void } {
  const reader = source.getReader();
  let cut = (): void => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      cut = () => {
        controller.error(new TypeError('network error'));
        void reader.cancel();
      };
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => reader.cancel(),
  });
  return { body, cut: () => cut() };
}

const clients: RealtimeClient[] = [];

function connect(
  to: { fetch: RealtimeClientOptions['fetch'] },
  options: Partial<RealtimeClientOptions> = {},
) {
  const client = createRealtimeClient({
    url: '/api/events',
    fetch: to.fetch as NonNullable<RealtimeClientOptions['fetch']>,
    random: () => 0.5,
    ...options,
  });
  clients.push(client);
  const data: unknown[] = [];
  const gaps: RealtimeGap['reason'][] = [];
  const states: ConnectionState[] = [];
  const errors: unknown[] = [];
  client.on('changed', (each) => data.push(each));
  client.onGap(({ reason }) => gaps.push(reason));
  client.onState((state) => states.push(state));
  client.onError((error) => errors.push(error));
  client.connect();
  return { client, data, gaps, states, errors };
}

/** Of a log without events, whose server beats every 15 s. */
const hello = 'id: e.0\nevent: ck.hello\ndata: {"epoch":"e","offset":0,"head":0,"heartbeatMs":15000}\n\n';

/** Lets everything happen that needs no time. */
const settle = () => vi.advanceTimersByTimeAsync(0);

async function untilLive(client: RealtimeClient): Promise<void> {
  for (let waited = 0; client.state !== 'live' && waited < 120_000; waited += 100) {
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(client.state).toBe('live');
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  vi.useRealTimers();
});

describe('createRealtimeClient()', () => {
  it('RT-1 gives events to the listeners of their type, in order, with id, clock, key and time', async () => {
    const to = server();
    const { client, data, states } = connect(to);
    const events: unknown[] = [];
    client.onEvent((event) => events.push(event));
    await settle();
    await to.hub.publish([
      { type: 'changed', tenant: 'a', data: { n: 1 }, clock: 5, key: { id: 7 }, at: 9 },
      { type: 'other', tenant: 'a', data: null },
    ]);
    await settle();
    expect(data).toEqual([{ n: 1 }]);
    const position = await to.hub.position('a');
    expect(events).toEqual([
      { type: 'changed', id: position.replace('.2', '.1'), data: { n: 1 }, clock: 5, key: { id: 7 }, at: 9 },
      { type: 'other', id: position, data: null },
    ]);
    expect(client.position).toBe(position);
    expect(states).toEqual(['connecting', 'live']);
  });

  it('RT-1 a listener that throws hurts no other, and its error is heard', async () => {
    const to = server();
    const { client, data, errors } = connect(to);
    client.on('changed', () => {
      throw new Error('mine');
    });
    const after: unknown[] = [];
    client.on('changed', (each) => after.push(each));
    client.onError(() => {
      throw new Error('even here');
    });
    await settle();
    await to.publish(1, 2);
    await settle();
    expect([data, after]).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(errors.map((error) => (error as Error).message)).toEqual(['mine', 'mine']);
  });

  it('RT-1 a listener that was taken away hears nothing more, and only that registration', async () => {
    const to = server();
    const { client, data } = connect(to);
    const twice: unknown[] = [];
    const listener = (each: unknown) => twice.push(each);
    const off = client.on('changed', listener);
    client.on('changed', listener);
    await settle();
    off();
    off();
    await to.publish(1);
    await settle();
    expect([data, twice]).toEqual([[1], [1]]);
  });

  it('connects once however often it is asked to, and closes any number of times', async () => {
    const to = server();
    const { client } = connect(to);
    client.connect();
    await settle();
    client.connect();
    await settle();
    expect(to.requests).toHaveLength(1);
    client.close();
    client.close();
    await settle();
    expect(client.state).toBe('closed');
    expect(to.hub.metrics().connections).toBe(0);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(to.requests).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does nothing before connect(), and can be opened again after close()', async () => {
    const to = server();
    const client = createRealtimeClient({ url: '/e', fetch: to.fetch });
    clients.push(client);
    await settle();
    expect([client.state, to.requests.length, client.position]).toEqual(['idle', 0, undefined]);
    client.close();
    client.connect();
    await settle();
    expect(client.state).toBe('live');
  });

  it('is not disturbed by the end of the stream before', async () => {
    const to = server();
    const { client, states, errors } = connect(to);
    await settle();
    client.close();
    client.connect();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(states).toEqual(['connecting', 'live', 'closed', 'connecting', 'live']);
    expect([to.requests.length, errors]).toEqual([2, []]);
  });

  it('leaves nothing behind after 200 times opened and closed', async () => {
    const to = server();
    const host = fakeHost();
    const { client } = connect(to, { host });
    for (let n = 0; n < 200; n += 1) {
      if (n % 3) await settle();
      client.close();
      client.connect();
    }
    client.close();
    await settle();
    expect(to.hub.metrics()).toMatchObject({ connections: 0, tenants: 0 });
    expect(host.listeners()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes the header of a response that has no position as it is', async () => {
    const { client, gaps } = connect(server(), { position: new Response().headers.get('X-CacheKit-Pos') });
    expect(client.position).toBeUndefined();
    await settle();
    expect([client.state, gaps]).toEqual(['live', ['started']]);
  });

  it('says once that what was read before the first stream may be old, unless it has a position', async () => {
    const to = server();
    const without = connect(to);
    await settle();
    to.cut();
    await vi.advanceTimersByTimeAsync(1_000);
    expect([without.client.state, without.gaps]).toEqual(['live', ['started']]);
    const position = await to.hub.position('a');
    await to.publish('between');
    const having = connect(to, { position });
    await settle();
    expect([having.gaps, having.data]).toEqual([[], ['between']]);
    expect(having.states).toEqual(['connecting', 'replaying', 'live']);
  });
});

describe('a stream that breaks', () => {
  it('RC-10 is resumed behind the last event: nothing is missed, nothing comes twice', async () => {
    const to = server();
    const { client, data, gaps, states } = connect(to);
    await settle();
    await to.publish(1, 2);
    await settle();
    to.cut();
    await settle();
    expect(client.state).toBe('backoff');
    await to.publish(3, 4);
    await vi.advanceTimersByTimeAsync(500);
    await to.publish(5);
    await settle();
    expect(data).toEqual(upTo(5));
    expect(gaps).toEqual(['started']);
    expect(states).toEqual(['connecting', 'live', 'backoff', 'connecting', 'replaying', 'live']);
    expect(to.requests[1]?.headers.get('Last-Event-ID')).toMatch(/\.2$/);
  });

  it('is resumed at the beat of a server that ends it, spread as the server asks', async () => {
    const to = server();
    const { client, data } = connect(to);
    await settle();
    await to.hub.close({ spread: '8s' });
    await to.restart();
    await settle();
    expect(client.state).toBe('backoff');
    await to.publish(1);
    await vi.advanceTimersByTimeAsync(8_500);
    expect([client.state, data]).toEqual(['live', [1]]);
  });

  it('is told as a gap when the server lost its log, and goes on', async () => {
    const to = server();
    const { data, gaps } = connect(to);
    await settle();
    await to.publish(1);
    await settle();
    await to.restart(createMemoryLog());
    await to.publish(2);
    await vi.advanceTimersByTimeAsync(10_000);
    await to.publish(3);
    await settle();
    expect([data, gaps]).toEqual([
      [1, 3],
      ['started', 'epoch'],
    ]);
  });

  it('drops an event that a server sends twice', async () => {
    const one = 'id: e.1\nevent: changed\ndata: {"data":1}\n\n';
    const two = 'id: e.2\nevent: changed\ndata: {"data":2}\n\n';
    const fetch = async () => stream([hello, one, one, two, one, two]);
    const { data } = connect({ fetch });
    await settle();
    expect(data).toEqual([1, 2]);
  });

  it('is found when it is silent for 2.5 beats, and not earlier', async () => {
    const to = server();
    const { client, data } = connect(to);
    await settle();
    let deaf = true;
    to.state.answer = async (request) => {
      const response = await to.serving(request);
      if (!deaf) return response;
      // A proxy that is there and passes the beginning on, and nothing more.
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      const { value } = await reader.read();
      return stream([value as Uint8Array], false);
    };
    to.cut();
    await vi.advanceTimersByTimeAsync(250);
    expect(client.state).toBe('live');
    await to.publish(1);
    await vi.advanceTimersByTimeAsync(37_000);
    expect(client.state).toBe('live');
    deaf = false;
    await vi.advanceTimersByTimeAsync(600);
    expect(client.state).toBe('stale');
    await vi.advanceTimersByTimeAsync(500);
    expect([client.state, data]).toEqual(['live', [1]]);
  });

  it('is found when it is silent, also when the time of day was set back meanwhile', async () => {
    const to = server();
    const { client } = connect(to);
    await settle();
    to.state.answer = () => stream([hello], false);
    to.cut();
    await vi.advanceTimersByTimeAsync(250);
    expect(client.state).toBe('live');
    vi.setSystemTime(Date.now() - 3_600_000);
    to.state.answer = to.serving;
    await vi.advanceTimersByTimeAsync(120_000);
    expect([client.state, to.requests.length]).toEqual(['live', 3]);
  });

  it('is not taken for dead while the server beats', async () => {
    const to = server();
    const { client } = connect(to);
    await vi.advanceTimersByTimeAsync(600_000);
    expect([client.state, to.requests.length]).toEqual(['live', 1]);
  });

  it('is replaced after a sleep by the wall clock, without waiting for a timer', async () => {
    const to = server();
    const host = fakeHost();
    const { client } = connect(to, { host });
    await settle();
    vi.setSystemTime(Date.now() + 3_600_000);
    host.document.fire('visibilitychange');
    expect(client.state).toBe('stale');
    await vi.advanceTimersByTimeAsync(500);
    expect(client.state).toBe('live');
  });

  it('is replaced when it does not even begin', async () => {
    const to = server();
    to.state.answer = () => new Promise(() => {});
    const { client } = connect(to);
    await vi.advanceTimersByTimeAsync(20_100);
    expect(client.state).toBe('stale');
    to.state.answer = to.serving;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(client.state).toBe('live');
  });
});

describe('a server that is not ready', () => {
  it.each<[string, Answer]>([
    ['503', () => new Response(null, { status: 503 })],
    ['500', () => new Response('oops', { status: 500 })],
    ['429', () => new Response(null, { status: 429 })],
    ['404 while it is deployed', () => new Response('not here', { status: 404 })],
    [
      'a page in place of a stream',
      () => new Response('<html>', { headers: { 'Content-Type': 'text/html' } }),
    ],
    ['no network', () => Promise.reject(new TypeError('fetch failed'))],
    ['a stream of somebody else', () => stream(['event: ck.hello\ndata: {"x":1}\n\n'], false)],
    ['a stream that is no JSON', () => stream(['event: changed\ndata: {{\n\n'], false)],
    ['a stream that ends at once', () => stream([])],
  ])(
    'is asked again for ever after %s, ever more rarely and never more than twice a minute less',
    async (_, answer) => {
      const to = server();
      to.state.answer = answer;
      const { client } = connect(to);
      await vi.advanceTimersByTimeAsync(10_000);
      const early = to.requests.length;
      expect(early).toBeGreaterThan(3);
      expect(early).toBeLessThan(10);
      await vi.advanceTimersByTimeAsync(3_600_000);
      expect(to.requests.length - early).toBeGreaterThan(200);
      expect(to.requests.length - early).toBeLessThan(260);
      to.state.answer = to.serving;
      await vi.advanceTimersByTimeAsync(15_001);
      expect(client.state).toBe('live');
    },
  );

  it('is not asked before the Retry-After it gave', async () => {
    const to = server();
    to.state.answer = () => new Response(null, { status: 503, headers: { 'Retry-After': '9' } });
    connect(to);
    await vi.advanceTimersByTimeAsync(8_999);
    expect(to.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(300);
    expect(to.requests).toHaveLength(2);
  });

  it('is forgiven after 10 seconds of a stream that works, and not earlier', async () => {
    const to = server();
    to.state.answer = () => new Response(null, { status: 503 });
    const { client } = connect(to);
    await vi.advanceTimersByTimeAsync(60_000);
    to.state.answer = to.serving;
    await untilLive(client);
    to.cut();
    await vi.advanceTimersByTimeAsync(14_000);
    expect(client.state).toBe('backoff');
    await untilLive(client);
    await vi.advanceTimersByTimeAsync(10_000);
    to.cut();
    await vi.advanceTimersByTimeAsync(251);
    expect(client.state).toBe('live');
  });
});

describe('a server that refuses', () => {
  it.each([401, 403])('with %i is asked once more with fresh headers and then left alone', async (status) => {
    const to = server();
    to.state.answer = () => new Response(null, { status });
    let tokens = 0;
    const { client } = connect(to, { headers: () => ({ Authorization: `t${++tokens}` }) });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(client.state).toBe('denied');
    expect(to.requests.map(({ headers }) => headers.get('Authorization'))).toEqual(['t1', 't2']);
    expect(vi.getTimerCount()).toBe(0);
    to.state.answer = to.serving;
    client.connect();
    await settle();
    expect(client.state).toBe('live');
  });

  it('an expired token costs nothing: the next attempt has a new one', async () => {
    const to = server();
    let token = 0;
    to.state.answer = (request) =>
      request.headers.get('Authorization') === `t${token}`
        ? to.serving(request)
        : new Response(null, { status: 401 });
    let given = 0;
    const { client, data, states } = connect(to, {
      headers: async () => {
        const mine = given;
        given = token;
        return { Authorization: `t${mine}` };
      },
    });
    await settle();
    while (token < 10) {
      token += 1;
      await to.publish(token);
      to.cut();
      await settle();
      await untilLive(client);
    }
    expect([client.state, data]).toEqual(['live', upTo(10)]);
    expect(states).not.toContain('denied');
  });

  it('a headers function that fails is a failed attempt and no end', async () => {
    const to = server();
    let failing = true;
    const { client, errors } = connect(to, {
      headers: async () => {
        if (failing) throw new Error('no token');
        return {};
      },
    });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(errors[0]).toMatchObject({ message: 'no token' });
    failing = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(client.state).toBe('live');
  });
});

describe('a device', () => {
  it('without network is not asked to try, and tries at once when the network is back', async () => {
    const to = server();
    const host = fakeHost();
    const { client, data } = connect(to, { host });
    await settle();
    host.fire('offline');
    expect(client.state).toBe('offline');
    await to.publish(1);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(to.requests).toHaveLength(1);
    host.fire('online');
    await settle();
    expect([client.state, data]).toEqual(['live', [1]]);
  });

  it('that is wrong about its network is tried now and then', async () => {
    const to = server();
    const host = fakeHost();
    const { client } = connect(to, { host });
    await settle();
    host.fire('offline');
    await vi.advanceTimersByTimeAsync(30_001);
    expect(client.state).toBe('live');
  });

  it('that wakes up ends a wait', async () => {
    const to = server();
    const host = fakeHost();
    to.state.answer = () => new Response(null, { status: 503, headers: { 'Retry-After': '60' } });
    const { client } = connect(to, { host });
    await settle();
    to.state.answer = to.serving;
    host.fire('pageshow');
    await settle();
    expect(client.state).toBe('live');
  });
});

describe('bad options', () => {
  it.each([
    [{ url: '' }],
    [{ url: 3 as never }],
    [{ position: 'nonsense' }],
    [{ backoff: { min: 0 } }],
    [{ backoff: { min: '1m', max: '1s' } as const }],
    [{ backoff: { jitter: true } as never }],
    [{ retries: 3 } as never],
  ])('%o are refused', (options) => {
    expect(() => createRealtimeClient({ url: '/e', ...options })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

function stream(pieces: (string | Uint8Array)[], ends = true): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces)
        controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece);
      if (ends) controller.close();
    },
  });
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
}

function fakeTarget() {
  const listeners: { type: string; run: () => void }[] = [];
  return {
    addEventListener: (type: string, run: () => void) => void listeners.push({ type, run }),
    removeEventListener: (type: string, run: () => void) => {
      const index = listeners.findIndex((each) => each.type === type && each.run === run);
      if (index >= 0) listeners.splice(index, 1);
    },
    fire: (type: string) => {
      for (const each of [...listeners]) if (each.type === type) each.run();
    },
    count: () => listeners.length,
  };
}

function fakeHost() {
  const host = fakeTarget();
  const document = { ...fakeTarget(), visibilityState: 'visible' };
  return { ...host, document, listeners: () => host.count() + document.count() };
}
