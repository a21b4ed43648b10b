import { createServer } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { afterEach, describe, expect, test } from 'vitest';
import { rateLimit as expressLimit } from '../src/express/index.ts';
import { rateLimit as fastifyLimit } from '../src/fastify/index.ts';
import { withRateLimit } from '../src/fetch/index.ts';
import { rateLimit as honoLimit } from '../src/hono/index.ts';
import { concurrency, createRateLimiter, gcra, memoryStore } from '../src/index.ts';

const limiter = () =>
  createRateLimiter({
    policies: { slots: concurrency({ limit: 1, lease: '1h' }), api: gcra({ limit: 100, window: '1h' }) },
    store: memoryStore(),
  });
type Limiter = ReturnType<typeof limiter>;
const check = () => ({ ids: { slots: ['exports'], api: ['u1'] } });
const left = async (limits: Limiter) => (await limits.peek({ slots: ['exports'] })).limits.slots.remaining;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A server whose answer begins at once and ends when the client goes or `end` is called. */
type Serving = { url: string; end: () => void };
const servers: Readonly<Record<string, (limits: Limiter) => Promise<Serving>>> = {
  async express(limits) {
    const open: express.Response[] = [];
    const app = express();
    app.use(expressLimit(limits, { check }));
    app.use((_request, response) => {
      response.write('begun ');
      open.push(response);
    });
    const server = createServer(app);
    closers.push(
      async () => server.closeAllConnections(),
      async () => server.close(),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, end: () => void open.map((response) => response.end('ended')) };
  },
  async fastify(limits) {
    const open: Readable[] = [];
    const app = fastify({ forceCloseConnections: true });
    closers.push(() => app.close());
    app.addHook('onRequest', fastifyLimit(limits, { check }));
    app.get('/', (_request, reply) => {
      const body = new Readable({ read() {} });
      body.push('begun ');
      open.push(body);
      return reply.send(body);
    });
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    const end = (): void => {
      for (const body of open) {
        body.push('ended');
        body.push(null);
      }
    };
    return { url, end };
  },
};

describe.each(Object.entries(servers))('%s', (_name, start) => {
  test('a slot is held until the answer has been sent, and everything else stays counted', async () => {
    const limits = limiter();
    const { url, end } = await start(limits);
    const first = await fetch(url);
    expect(first.status).toBe(200);
    const second = await fetch(url);
    expect(second.status).toBe(429);
    expect(await second.json()).toMatchObject({ 'violated-policies': ['slots'] });
    end();
    expect(await first.text()).toBe('begun ended');
    await expect.poll(() => left(limits)).toBe(1);
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(99);
  });

  test('a slot is free when the client has gone', async () => {
    const limits = limiter();
    const { url } = await start(limits);
    const controller = new AbortController();
    const response = await fetch(url, { signal: controller.signal });
    expect(response.status).toBe(200);
    expect(await left(limits)).toBe(0);
    controller.abort();
    await expect(response.text()).rejects.toThrow();
    await expect.poll(() => left(limits)).toBe(1);
  });
});

test('HTTP/2: a slot is free when the client goes while the check is under way', async () => {
  const limits = limiter();
  const asked = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const passed = Promise.withResolvers<void>();
  const slowCheck = async () => {
    asked.resolve();
    await gone.promise;
    return check();
  };
  const limit = expressLimit(limits, { check: slowCheck });
  const server = createHttp2Server((request, response) => {
    response.once('close', gone.resolve);
    limit(request, response, () => passed.resolve());
  });
  closers.push(async () => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  closers.unshift(async () => client.destroy());
  const request = client.request({ ':path': '/' });
  request.on('error', () => {});
  await asked.promise;
  request.close();
  await passed.promise;
  await expect.poll(() => left(limits)).toBe(1);
});

type Handler = (request: Request) => Response | Promise<Response>;
const styles: Readonly<Record<string, (limits: Limiter, handler: Handler) => Handler>> = {
  fetch: (limits, handler) => withRateLimit(limits, { check }, handler),
  hono(limits, handler) {
    const app = new Hono();
    app.onError((error) => new Response(error.message, { status: 500 }));
    app.use(honoLimit(limits, { check }));
    app.all('/', (c) => handler(c.req.raw));
    return (request) => app.fetch(request);
  },
};
const ask = (signal: AbortSignal | null = null) => new Request('http://localhost/', { signal });
const parts = (...texts: string[]) =>
  new ReadableStream<Uint8Array>({
    pull(controller) {
      const text = texts.shift();
      if (text === undefined) controller.close();
      else controller.enqueue(new TextEncoder().encode(text));
    },
  });

describe.each(Object.entries(styles))('%s', (name, make) => {
  test('a slot is held until the body has been read', async () => {
    const limits = limiter();
    const handle = make(limits, () => new Response(parts('a', 'b'), { headers: { 'x-mine': 'yes' } }));
    const first = await handle(ask());
    expect(first.headers.get('x-mine')).toBe('yes');
    expect(first.headers.get('RateLimit-Policy')).toContain('"slots";q=1;qu="concurrent-requests"');
    expect((await handle(ask())).status).toBe(429);
    expect(await first.text()).toBe('ab');
    expect(await left(limits)).toBe(1);
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(99);
  });

  test('a slot is free at once if there is no body', async () => {
    const limits = limiter();
    await make(limits, () => new Response(null, { status: 204 }))(ask());
    expect(await left(limits)).toBe(1);
  });

  test('a slot is free at once where the body is not sent, as of the answer to HEAD', async () => {
    const limits = limiter();
    const head = new Request('http://localhost/', { method: 'HEAD' });
    await make(limits, () => new Response('hello'))(head);
    expect(await left(limits)).toBe(1);
  });

  test.each([
    ['no response', () => undefined as never],
    ['a response that is an error', () => Response.error()],
    [
      'a response whose body somebody else reads',
      () => {
        const response = new Response('hello');
        response.body?.getReader();
        return response;
      },
    ],
  ])('a slot is free when the handler gives %s', async (_what, handler) => {
    const limits = limiter();
    await Promise.allSettled([make(limits, handler)(ask())]);
    expect(await left(limits)).toBe(1);
  });

  test.each(['cancels the body', 'aborts the request'])('a slot is free when the client %s', async (how) => {
    const limits = limiter();
    const controller = new AbortController();
    const response = await make(limits, () => new Response(parts('a', 'b')))(ask(controller.signal));
    expect(await left(limits)).toBe(0);
    if (how === 'cancels the body') await response.body?.cancel();
    else controller.abort();
    await expect.poll(() => left(limits)).toBe(1);
  });

  test('a slot is free when the handler or the body fails', async () => {
    const limits = limiter();
    const failure = new Error('mine');
    const answer = make(limits, () => Promise.reject(failure))(ask());
    if (name === 'fetch') await expect(answer).rejects.toBe(failure);
    else expect(await (await answer).text()).toBe('mine');
    expect(await left(limits)).toBe(1);
    const body = new ReadableStream({ pull: (controller) => controller.error(failure) });
    const response = await make(limits, () => new Response(body))(ask());
    await expect(response.text()).rejects.toBe(failure);
    expect(await left(limits)).toBe(1);
  });
});
