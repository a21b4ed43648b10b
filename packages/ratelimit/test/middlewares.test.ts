import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duration } from '@cachekit/core';
import { FakeClock } from '@cachekit/core/testing';
import express from 'express';
import { rateLimit as expressRateLimit } from 'express-rate-limit';
import fastify, { type FastifyRequest } from 'fastify';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { afterEach, describe, expect, test } from 'vitest';
import { rateLimit as expressLimit, rateLimitStore } from '../src/express/index.ts';
import { rateLimit as fastifyLimit } from '../src/fastify/index.ts';
import { withRateLimit } from '../src/fetch/index.ts';
import { rateLimit as honoLimit } from '../src/hono/index.ts';
import {
  concurrency,
  createRateLimiter,
  fixedWindow,
  gcra,
  memoryStore,
  type RateLimiter,
} from '../src/index.ts';

const limiter = (options: { deny?: () => boolean } = {}) =>
  createRateLimiter({
    policies: {
      api: fixedWindow({ limit: 3, window: '2s' }),
      commands: gcra({ limit: 1, window: '1m' }),
      slots: concurrency({ limit: 5, lease: '1m' }),
    },
    store: memoryStore(),
    clock: new FakeClock(),
    ...options,
  });
type Limiter = RateLimiter<'api' | 'commands' | 'slots'>;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A server of each framework: `/api/*` is limited, and below it `/api/commands` once more by both policies. */
const servers: Readonly<Record<string, (limits: Limiter, spread?: Duration) => Promise<string>>> = {
  async express(limits, spread = 0) {
    const user = (request: express.Request) => request.get('x-user') ?? 'nobody';
    const app = express();
    app.use(
      '/api',
      expressLimit(limits, {
        check: (request: express.Request) => ({ ids: { api: [user(request)] } }),
        spread,
      }),
    );
    app.post(
      '/api/commands',
      expressLimit(limits, {
        check: (request: express.Request) => ({ ids: { api: [user(request)], commands: [user(request)] } }),
      }),
    );
    app.use((_request, response) => {
      response.send('served');
    });
    const server = createServer(app);
    closers.push(async () => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
  async fastify(limits, spread = 0) {
    const app = fastify();
    closers.push(() => app.close());
    const user = (request: FastifyRequest) => String(request.headers['x-user'] ?? 'nobody');
    app.addHook(
      'onRequest',
      fastifyLimit(limits, {
        check: (request: FastifyRequest) => ({ ids: { api: [user(request)] } }),
        spread,
      }),
    );
    app.get('/api/calls', async () => 'served');
    app.post(
      '/api/commands',
      {
        onRequest: fastifyLimit(limits, {
          check: (request: FastifyRequest) => ({ ids: { api: [user(request)], commands: [user(request)] } }),
        }),
      },
      async () => 'served',
    );
    return app.listen({ port: 0, host: '127.0.0.1' });
  },
  async hono(limits, spread = 0) {
    const app = new Hono();
    app.use(
      '/api/*',
      honoLimit(limits, {
        check: (c) => ({ ids: { api: [c.req.raw.headers.get('x-user') ?? 'nobody'] } }),
        spread,
      }),
    );
    app.post(
      '/api/commands',
      honoLimit(limits, {
        check: async (c) => {
          const user = c.req.raw.headers.get('x-user') ?? 'nobody';
          return { ids: { api: [user], commands: [user] } };
        },
      }),
      (c) => c.text('served'),
    );
    app.get('/api/calls', () => new Response('served'));
    return serveFetch((request) => app.fetch(request));
  },
  async fetch(limits, spread = 0) {
    const user = (request: Request) => request.headers.get('x-user') ?? 'nobody';
    const commands = withRateLimit(
      limits,
      { check: (request) => ({ ids: { api: [user(request)], commands: [user(request)] } }) },
      () => new Response('served'),
    );
    return serveFetch(
      withRateLimit(limits, { check: (request) => ({ ids: { api: [user(request)] } }), spread }, (request) =>
        request.url.endsWith('/commands') ? commands(request) : new Response('served'),
      ),
    );
  },
};

/** Serves a fetch-style handler over HTTP. */
async function serveFetch(handle: (request: Request) => Response | Promise<Response>): Promise<string> {
  const server = createServer(async (incoming, outgoing) => {
    const headers = new Headers(incoming.headers as Record<string, string>);
    const request = new Request(`http://localhost${incoming.url}`, {
      method: incoming.method ?? 'GET',
      headers,
    });
    const response = await handle(request);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(await response.text());
  });
  closers.push(async () => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.each(Object.entries(servers))('%s', (_name, start) => {
  test('RC-4: limits all routes of a path, answers 429 with the fields and a problem document', async () => {
    const url = await start(limiter());
    const get = () => fetch(`${url}/api/calls`, { headers: { 'x-user': 'u1' } });
    const first = await get();
    expect(first.status).toBe(200);
    expect(await first.text()).toBe('served');
    expect(first.headers.get('RateLimit-Policy')).toBe('"api";q=3;w=2');
    expect(first.headers.get('RateLimit')).toBe('"api";r=2;t=2');
    expect(first.headers.get('X-RateLimit-Remaining')).toBe('2');
    await get();
    await get();
    const denied = await get();
    expect(denied.status).toBe(429);
    expect(denied.headers.get('Retry-After')).toBe('2');
    expect(denied.headers.get('Content-Type')).toMatch(/^application\/problem\+json/);
    expect(await denied.json()).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      'violated-policies': ['api'],
    });
  });

  test('one request through two middlewares counts once per policy (scenario 17)', async () => {
    const limits = limiter();
    const url = await start(limits);
    const response = await fetch(`${url}/api/commands`, { method: 'POST', headers: { 'x-user': 'u1' } });
    expect(response.status).toBe(200);
    expect(response.headers.get('RateLimit')).toContain('"api";r=2');
    expect(response.headers.get('RateLimit')).toContain('"commands";r=0');
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(2);
    const denied = await fetch(`${url}/api/commands`, { method: 'POST', headers: { 'x-user': 'u1' } });
    expect(await denied.json()).toMatchObject({ 'violated-policies': ['commands'] });
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(1);
  });

  test('who is denied together with others is told a time of its own, never too short', async () => {
    const url = await start(limiter(), '1h');
    const get = () => fetch(`${url}/api/calls`, { headers: { 'x-user': 'u1' } });
    for (let i = 0; i < 3; i++) await get();
    const told = new Set<number>();
    for (let i = 0; i < 20; i++) told.add(Number((await get()).headers.get('Retry-After')));
    expect(told.size).toBeGreaterThan(1);
    for (const seconds of told) expect(seconds >= 2 && seconds <= 3_602).toBe(true);
  });

  test('another request of the same user counts anew', async () => {
    const limits = limiter();
    const url = await start(limits);
    for (let i = 0; i < 3; i++) await fetch(`${url}/api/calls`, { headers: { 'x-user': 'u1' } });
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(0);
  });

  test('who is blocked gets 429 as abnormal usage, who is denied by you 403', async () => {
    const blocked = limiter();
    await blocked.block({ api: ['u1'] }, { duration: '1h', reason: 'abuse' });
    const url = await start(blocked);
    const response = await fetch(`${url}/api/calls`, { headers: { 'x-user': 'u1' } });
    expect(response.status).toBe(429);
    expect(response.headers.get('Retry-After')).toBe('3600');
    expect(await response.json()).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#abnormal-usage-detected',
    });
    const denied = await fetch(`${await start(limiter({ deny: () => true }))}/api/calls`);
    expect(denied.status).toBe(403);
    expect(denied.headers.has('Retry-After')).toBe(false);
  });
});

describe('hono', () => {
  test('a request that is replaced on its way, as by bodyLimit(), counts once per policy', async () => {
    const limits = limiter();
    const check = () => ({ ids: { api: ['u1'] } });
    const app = new Hono();
    app.use(honoLimit(limits, { check }));
    app.use(bodyLimit({ maxSize: 1_000 }));
    app.use(honoLimit(limits, { check: () => ({ ids: { api: ['u1'], commands: ['u1'] } }) }));
    app.post('/', async (c) => c.text(await c.req.text()));
    const response = await app.request('/', {
      method: 'POST',
      body: new Blob(['a body']).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(await response.text()).toBe('a body');
    expect(response.headers.get('RateLimit')).toContain('"commands";r=0');
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(2);
  });
});

describe('fastify', () => {
  test('the handler of a denied request does not run, whatever hooks work on its answer', async () => {
    let runs = 0;
    const app = fastify();
    closers.push(() => app.close());
    app.addHook('onSend', async (_request, _reply, payload) => {
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
      return payload;
    });
    app.addHook('onRequest', fastifyLimit(limiter(), { check: () => ({ ids: { commands: ['u1'] } }) }));
    app.get('/', async () => {
      runs++;
      return 'served';
    });
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(url)).status).toBe(429);
    expect(runs).toBe(1);
  });

  test('errors of check are those of the hook', async () => {
    const app = fastify();
    closers.push(() => app.close());
    const check = () => Promise.reject(new Error('no user'));
    app.addHook('onRequest', fastifyLimit(limiter(), { check }));
    app.get('/', async () => 'served');
    const response = await fetch(await app.listen({ port: 0, host: '127.0.0.1' }));
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ message: 'no user' });
  });
});

describe('refuses what is no check, at construction', () => {
  test.each([
    ['express', expressLimit],
    ['fastify', fastifyLimit],
    ['hono', honoLimit],
  ])('%s', (_name, factory) => {
    const make = factory as (limits: Limiter, options: never) => unknown;
    for (const options of [
      {},
      { check: 'ip' },
      { check: () => undefined, max: 3 },
      { check: () => undefined, spread: '10x' },
    ]) {
      expect(() => make(limiter(), options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
  });
});

describe('rateLimitStore()', () => {
  test('express-rate-limit lets exactly the limit of the policy pass, and can give back and reset', async () => {
    const limits = limiter();
    const store = rateLimitStore(limits, 'api');
    const app = express();
    app.use(
      expressRateLimit({
        limit: 3,
        windowMs: 2_000,
        store,
        keyGenerator: (request) => request.get('x-user') ?? 'nobody',
        standardHeaders: 'draft-8',
        legacyHeaders: true,
      }),
    );
    app.use((_request, response) => {
      response.send('served');
    });
    const server = createServer(app);
    closers.push(async () => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const get = () =>
      fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers: { 'x-user': 'u1' } });
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) statuses.push((await get()).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    expect((await get()).headers.get('X-RateLimit-Remaining')).toBe('0');
    await store.decrement('u1');
    expect((await get()).status).toBe(200);
    expect((await get()).status).toBe(429);
    await store.resetKey('u1');
    expect(await store.get('u1')).toMatchObject({ totalHits: 0 });
    expect((await get()).headers.get('X-RateLimit-Remaining')).toBe('2');
    expect(await store.get('u1')).toMatchObject({ totalHits: 1, resetTime: expect.any(Date) });
  });

  test('with skipFailedRequests a denied request gives nothing back, and a failed one what it took', async () => {
    let status = 200;
    const store = rateLimitStore(limiter(), 'api');
    const app = express();
    app.use(
      expressRateLimit({
        limit: 3,
        windowMs: 2_000,
        store,
        skipFailedRequests: true,
        keyGenerator: () => 'u1',
      }),
    );
    app.use((_request, response) => {
      response.status(status).send('served');
    });
    const server = createServer(app);
    closers.push(async () => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const get = async () =>
      (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)).status;
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push(await get());
    expect(statuses).toEqual([200, 200, 200, 429, 429, 429, 429, 429]);
    await store.resetKey('u1');
    status = 500;
    const failed: number[] = [];
    for (let i = 0; i < 8; i++) failed.push(await get());
    expect(failed).toEqual(Array(8).fill(500));
  });

  test('a request that the policy denies is denied, also if the middleware was given a greater limit', async () => {
    const store = rateLimitStore(limiter(), 'commands');
    store.init({ limit: 100 });
    await store.increment('u1');
    expect((await store.increment('u1')).totalHits).toBe(101);
  });

  test('refuses a policy that is none', () => {
    expect(() => rateLimitStore(limiter(), 'nope' as never)).toThrow(/no policy "nope"/);
  });
});
