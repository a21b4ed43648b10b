import { afterEach, describe, expect, it, vi } from 'vitest';
import { createSseParser, type SseEvent } from '../src/client/sse-parse.ts';
import {
  createHub,
  createMemoryLog,
  type Hub,
  type HubOptions,
  type SseHandlerOptions,
  sseHandler,
  withPosition,
} from '../src/index.ts';
import { eventually, receivedOf, upTo } from './collect.ts';

vi.setConfig({ testTimeout: 60_000 });

const hubs: Hub[] = [];

function serve(options: Partial<HubOptions & SseHandlerOptions> = {}) {
  const { authenticate = (request) => tenantOf(request), ...rest } = options;
  const hub = createHub({ log: createMemoryLog(), ...rest });
  hubs.push(hub);
  return { hub, handler: sseHandler(hub, { authenticate }) };
}

function tenantOf(request: Request): { tenant: string } | undefined {
  const tenant = request.headers.get('Authorization');
  return tenant ? { tenant } : undefined;
}

function ask(headers: Record<string, string> = {}, query = '', init: RequestInit = {}): Request {
  return new Request(`http://host/api/events${query}`, {
    headers: { Authorization: 'a', ...headers },
    ...init,
  });
}

/** Reads a body until it holds `count` events that are not of the protocol. */
async function read(response: Response, count: number): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  const parse = createSseParser({ event: (event) => events.push(event), retry: () => {} });
  const decoder = new TextDecoder();
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  while (receivedOf(events).length < count) {
    const { done, value } = await reader.read();
    if (done) break;
    parse(decoder.decode(value, { stream: true }));
  }
  reader.releaseLock();
  return events;
}

const event = (data: unknown) => ({ type: 'changed', tenant: 'a', data });

afterEach(async () => {
  for (const hub of hubs.splice(0)) await hub.close();
});

describe('sseHandler()', () => {
  it('RC-10 answers with headers that keep proxies and caches from holding events back', async () => {
    const { handler } = serve();
    const response = await handler(ask());
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    const first = await response.body?.getReader().read();
    expect(new TextDecoder().decode(first?.value)).toMatch(
      /^retry: [123]\d{3}\nid: [0-9a-z]{20}\.0\nevent: ck\.hello\ndata: \{.*\}\n\n$/,
    );
  });

  it('writes an event as id, event and one line of data', async () => {
    const { hub, handler } = serve();
    const response = await handler(ask());
    await hub.publish([{ type: 'call.created', tenant: 'a', data: 'two\nlines', clock: 9, at: 1 }]);
    const epoch = (await hub.position('a')).split('.')[0];
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(
      `id: ${epoch}.1\nevent: call.created\ndata: {"at":1,"clock":9,"data":"two\\nlines"}\n\n`,
    );
  });

  it('RC-10 resumes by header and by query, and the header is the newer of the two', async () => {
    const { hub, handler } = serve();
    const start = await hub.position('a');
    await hub.publish(upTo(3).map(event));
    const second = start.replace('.0', '.2');
    const byHeader = await read(await handler(ask({ 'Last-Event-ID': second })), 1);
    const byQuery = await read(await handler(ask({}, `?lastEventId=${start}`)), 3);
    const both = await read(await handler(ask({ 'Last-Event-ID': second }, `?lastEventId=${start}`)), 1);
    expect(receivedOf(byHeader).map(({ offset }) => offset)).toEqual([3]);
    expect(receivedOf(byQuery).map(({ offset }) => offset)).toEqual([1, 2, 3]);
    expect(receivedOf(both).map(({ offset }) => offset)).toEqual([3]);
  });

  it('answers 401 without an identity, 405 to what is no GET, and opens nothing', async () => {
    const { hub, handler } = serve();
    expect((await handler(ask({ Authorization: '' }))).status).toBe(401);
    const post = await handler(ask({}, '', { method: 'POST' }));
    expect([post.status, post.headers.get('Allow')]).toEqual([405, 'GET']);
    expect(hub.metrics()).toMatchObject({ connections: 0, tenants: 0 });
  });

  it('answers 503 with a Retry-After at a limit, without a log, and while closing', async () => {
    const { hub, handler } = serve({ limits: { streams: 1 } });
    await handler(ask());
    const full = await handler(ask());
    expect(full.status).toBe(503);
    expect(Number(full.headers.get('Retry-After'))).toBeGreaterThanOrEqual(1);
    await hub.close();
    expect((await handler(ask())).status).toBe(503);
    const broken = serve({
      log: { ...createMemoryLog(), position: () => Promise.reject(new Error('no log')) },
    });
    expect((await broken.handler(ask())).status).toBe(503);
    expect(broken.hub.metrics()).toMatchObject({ connections: 0, tenants: 0 });
  });

  it('takes the tenant from the authentication alone', async () => {
    const { hub, handler } = serve();
    const response = await handler(ask({}, '?tenant=b'));
    await hub.publish([{ type: 'changed', tenant: 'b', data: 'secret' }, event('own')]);
    expect(receivedOf(await read(response, 1)).map(({ data }) => data)).toEqual(['own']);
  });

  it('lets go of everything when the request is aborted or the body cancelled, 200 times', async () => {
    const { hub, handler } = serve();
    for (let n = 0; n < 200; n += 1) {
      const abort = new AbortController();
      const response = await handler(ask({}, '', { signal: abort.signal }));
      await hub.publish([event(n)]);
      if (n % 2) abort.abort();
      else await response.body?.cancel();
    }
    const gone = new AbortController();
    gone.abort();
    await handler(ask({}, '', { signal: gone.signal }));
    await eventually(() => expect(hub.metrics()).toMatchObject({ connections: 0, tenants: 0, behind: 0 }));
  });

  it('keeps only a bounded queue for a body that nobody reads, and loses nothing when it is read', async () => {
    const { hub, handler } = serve({ queue: { bytes: 10_000 }, replay: 10_000 });
    const response = await handler(ask());
    const payload = 'x'.repeat(1_000);
    for (let n = 1; n <= 900; n += 1) await hub.publish([event({ n, payload })]);
    expect(hub.metrics().delivered).toBeLessThan(15);
    const events = await read(response, 900);
    expect(receivedOf(events).map(({ offset }) => offset)).toEqual(upTo(900));
  });

  it('shares the bytes of an event between streams without one of them taking them away', async () => {
    const { hub, handler } = serve();
    const responses = [await handler(ask()), await handler(ask()), await handler(ask())];
    await hub.publish([event(1)]);
    for (const response of responses) {
      expect(receivedOf(await read(response, 1)).map(({ data }) => data)).toEqual([1]);
    }
  });

  it('refuses to be made without authenticate', () => {
    const { hub } = serve();
    expect(() => sseHandler(hub, {} as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
    expect(() => sseHandler(hub, { authenticate: tenantOf, cors: true } as never)).toThrow(/cors/);
  });
});

describe('withPosition()', () => {
  it('says the position from before the data was read, so that nothing between is missed', async () => {
    const { hub, handler } = serve();
    const response = await withPosition(hub, 'a', async () => {
      await hub.publish([event('between')]);
      return Response.json({ calls: [] }, { status: 201 });
    });
    expect([response.status, await response.json()]).toEqual([201, { calls: [] }]);
    const position = response.headers.get('X-CacheKit-Pos') as string;
    const events = await read(await handler(ask({ 'Last-Event-ID': position })), 1);
    expect(receivedOf(events).map(({ data }) => data)).toEqual(['between']);
  });

  it('answers without one while the log cannot be reached, and says that a tenant is none', async () => {
    const { hub } = serve();
    const down = { position: () => Promise.reject(new Error('Redis does not answer')) };
    const response = await withPosition(down, 'a', () => Response.json({ calls: [] }));
    expect([response.headers.get('X-CacheKit-Pos'), await response.json()]).toEqual([null, { calls: [] }]);
    await expect(withPosition(hub, '', () => Response.json({}))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});
