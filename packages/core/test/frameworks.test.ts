import { once } from 'node:events';
import { createServer, get as httpGet, request as httpRequest } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import express from 'express';
import { Hono } from 'hono';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { expressHandler, metricsHandler, withCache } from '../src/http/index.ts';
import { createCache } from '../src/index.ts';
import { keys } from './keys.ts';

let server: Server | undefined;
afterEach(async () => {
  if (server === undefined) return;
  server.close();
  await once(server, 'close');
  server = undefined;
});

async function listening(started: Server): Promise<string> {
  server = started;
  if (!started.listening) await once(started, 'listening');
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}`;
}

/** A handler that needs what middleware found out. */
function setup() {
  const cache = createCache();
  const load = vi.fn(async (): Promise<unknown> => [{ id: 'desk-1' }]);
  const devices = withCache(cache, {
    key: (_request, { tenant }: { tenant?: string }) => keys.devices({ tenant: tenant ?? '' }),
    load,
  });
  return { cache, load, devices };
}

describe('expressHandler()', () => {
  async function app() {
    const { cache, load, devices } = setup();
    const application = express();
    application.use((request, response, next) => {
      Object.assign(request, { tenant: request.headers['x-tenant'] });
      response.vary('Origin');
      next();
    });
    const router = express.Router();
    router.get('/devices', expressHandler(devices));
    application.use('/api', router);
    application.all('/metrics', expressHandler(metricsHandler(cache)));
    application.get(
      '/cookies',
      expressHandler(async (request) => {
        const headers = new Headers({ 'X-Url': request.url });
        headers.append('Set-Cookie', 'a=1');
        headers.append('Set-Cookie', 'b=2');
        return new Response(null, { status: 204, headers });
      }),
    );
    const failed = vi.fn();
    application.use(
      (error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
        failed(error);
        response.status(500).end();
      },
    );
    return { url: await listening(application.listen(0)), load, failed };
  }

  test('RC-7 gives Express the answers of the cache', async () => {
    const { url, load } = await app();
    const headers = { 'X-Tenant': 'acme' };
    const first = await fetch(`${url}/api/devices`, { headers });
    expect(await first.json()).toEqual([{ id: 'desk-1' }]);
    expect(first.headers.get('X-Cache')).toBe('MISS');
    expect(first.headers.get('Vary')).toBe('Origin, X-CacheKit-Clock, Cookie, Authorization');
    const held = { ...headers, 'If-None-Match': first.headers.get('ETag') ?? '' };
    expect((await fetch(`${url}/api/devices`, { headers: held })).status).toBe(304);
    expect(load).toHaveBeenCalledTimes(1);
    const other = await fetch(`${url}/api/devices`, { headers: { 'X-Tenant': 'other' } });
    expect(other.headers.get('X-Cache')).toBe('MISS');
    expect(await (await fetch(`${url}/metrics`)).json()).toMatchObject({
      cache: { devices: { hits: 1, misses: 2 } },
    });
    expect((await fetch(`${url}/metrics`, { method: 'DELETE' })).status).toBe(204);
    const cookies = await fetch(`${url}/cookies?a=1`);
    expect(cookies.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(cookies.headers.get('X-Url')).toBe(`${url}/cookies?a=1`);
  });

  test('gives what is thrown to the error handlers of Express', async () => {
    const { url, failed } = await app();
    expect((await fetch(`${url}/api/devices`)).status).toBe(500);
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  test('aborts the load when the client has gone, and tells nobody', async () => {
    const { cache } = setup();
    const signals: AbortSignal[] = [];
    const slow = withCache(cache, {
      key: () => keys.devices({ tenant: 'acme' }),
      load: (_request, { signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    const next = vi.fn();
    const url = await listening(
      createServer((request, response) => expressHandler(slow)(request, response, next)).listen(0),
    );
    const request = httpGet(url);
    request.on('error', () => {});
    await vi.waitFor(() => expect(signals).toHaveLength(1), 10_000);
    request.destroy();
    await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true), 10_000);
    expect(next).not.toHaveBeenCalled();
  });

  test('answers a method of which fetch has no request', async () => {
    const handler = vi.fn();
    const next = vi.fn();
    const url = await listening(
      createServer((request, response) => expressHandler(handler)(request, response, next)).listen(0),
    );
    const status = await new Promise((resolve, reject) => {
      const request = httpRequest(url, { method: 'TRACE' }, (response) => resolve(response.statusCode));
      request.on('error', reject).end();
    });
    expect(status).toBe(501);
    expect(handler).not.toHaveBeenCalled();
    expect(next).not.toHaveBeenCalled();
  });

  test.each(['//elsewhere/x', 'http://elsewhere/x', '/%'])(
    'keeps the host of the request for %s',
    async (path) => {
      const seen: string[] = [];
      const handler = expressHandler(async (request: Request) => {
        seen.push(new URL(request.url).host);
        return new Response();
      });
      const ended = Promise.withResolvers<void>();
      const response = {
        statusCode: 0,
        writableFinished: true,
        getHeader: () => undefined,
        setHeader: () => undefined,
        end: () => ended.resolve(),
        on: () => undefined,
      };
      handler({ method: 'GET', url: path, headers: { host: 'here.example', ':path': '/' } }, response);
      await ended.promise;
      expect(seen).toEqual(['here.example']);
    },
  );

  test.each(['a/accounts/2?', 'a/accounts/2#', 'a\\accounts\\2?', 'me@a', 'a b', '[::1', 'a:99999'])(
    'takes path and query of the request for the host %j',
    async (host) => {
      const url = await listening(
        createServer(expressHandler(async (request: Request) => new Response(request.url))).listen(0),
      );
      const text = await new Promise((resolve, reject) => {
        const request = httpRequest(`${url}/accounts/1?page=3`, { headers: { Host: host } }, (response) => {
          let body = '';
          response.on('data', (chunk) => (body += chunk)).on('end', () => resolve(body));
        });
        request.on('error', reject).end();
      });
      expect(text).toBe('http://localhost/accounts/1?page=3');
    },
  );
});

describe('withCache()', () => {
  test('is a handler of Hono as it is', async () => {
    const { devices } = setup();
    const app = new Hono();
    app.get('/api/devices', (c) => devices(c.req.raw, { tenant: c.req.header('x-tenant') ?? '' }));
    const headers = { 'X-Tenant': 'acme' };
    expect((await app.request('/api/devices', { headers })).headers.get('X-Cache')).toBe('MISS');
    const hit = await app.request('/api/devices', { headers });
    expect(hit.headers.get('X-Cache')).toBe('HIT');
    expect(await hit.json()).toEqual([{ id: 'desk-1' }]);
  });

  test('is a route handler of Next as it is', async () => {
    const { cache } = setup();
    // As the file of a route exports it.
    const GET = withCache(cache, {
      key: async (_request, { params }: { params: Promise<{ limit: string }> }) =>
        keys.calls({ tenant: 'acme', limit: Number((await params).limit) }),
      load: async () => ['call'],
    });
    const call = () => GET(new Request('http://localhost/'), { params: Promise.resolve({ limit: '20' }) });
    expect((await call()).headers.get('X-Cache')).toBe('MISS');
    expect((await call()).headers.get('X-Cache')).toBe('HIT');
  });
});
