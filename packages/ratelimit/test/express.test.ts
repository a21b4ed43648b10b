import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeClock } from '@cachekit/core/testing';
import express from 'express';
import { afterEach, describe, expect, test } from 'vitest';
import { rateLimit } from '../src/express/index.ts';
import { createRateLimiter, gcra, memoryStore } from '../src/index.ts';

const limiter = () =>
  createRateLimiter({
    policies: { api: gcra({ limit: 2, window: '2s' }), commands: gcra({ limit: 1, window: '1m' }) },
    store: memoryStore(),
    clock: new FakeClock(),
  });

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listen(listener: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(listener);
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('rateLimit()', () => {
  test('RC-4: limits every route below a path, and one of them more', async () => {
    const limits = limiter();
    const app = express();
    app.use(
      '/api',
      rateLimit(limits, {
        check: (request: express.Request) => ({ ids: { api: [request.get('x-user') ?? 'nobody'] } }),
      }),
    );
    app.post(
      '/api/devices/:id/commands',
      rateLimit(limits, {
        check: (request: express.Request<{ id: string }>) => ({ ids: { commands: [request.params.id] } }),
      }),
      (_request, response) => {
        response.json({ sent: true });
      },
    );
    app.get('/api/calls', (_request, response) => {
      response.json([]);
    });
    const url = await listen(app);

    const first = await fetch(`${url}/api/calls`, { headers: { 'x-user': 'u1' } });
    expect(first.status).toBe(200);
    expect(first.headers.get('RateLimit')).toBe('"api";r=1;t=1');
    expect(first.headers.get('X-RateLimit-Limit')).toBe('2');
    expect((await fetch(`${url}/api/calls`, { headers: { 'x-user': 'u1' } })).status).toBe(200);
    const denied = await fetch(`${url}/api/calls`, { headers: { 'x-user': 'u1' } });
    expect(denied.status).toBe(429);
    expect(denied.headers.get('Content-Type')).toBe('application/problem+json');
    expect(denied.headers.get('Retry-After')).toBe('1');
    expect(await denied.json()).toMatchObject({ 'violated-policies': ['api'] });

    const send = (user: string) =>
      fetch(`${url}/api/devices/d1/commands`, { method: 'POST', headers: { 'x-user': user } });
    expect((await send('u2')).status).toBe(200);
    expect(await (await send('u3')).json()).toMatchObject({ 'violated-policies': ['commands'] });
  });

  test('errors of check go to the error handler of Express', async () => {
    const app = express();
    app.use(
      rateLimit(limiter(), {
        check: () => {
          throw new Error('no user');
        },
      }),
    );
    app.use(
      (error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
        response.status(418).send(error.message);
      },
    );
    const response = await fetch(await listen(app));
    expect(response.status).toBe(418);
    expect(await response.text()).toBe('no user');
  });

  test('an id that is empty is an error, not a limit that all strangers share', async () => {
    const app = express();
    app.use(
      rateLimit(limiter(), {
        check: (request: express.Request) => ({ ids: { api: [request.get('x-user') ?? ''] } }),
      }),
    );
    app.use(
      (
        error: { code?: string },
        _request: express.Request,
        response: express.Response,
        _next: express.NextFunction,
      ) => {
        response.status(500).send(error.code);
      },
    );
    expect(await (await fetch(await listen(app))).text()).toBe('INVALID_ARGUMENT');
  });

  test('undefined lets a request pass uncounted', async () => {
    const app = express();
    app.use(rateLimit(limiter(), { check: () => undefined }));
    app.get('/', (_request, response) => {
      response.send('free');
    });
    const url = await listen(app);
    for (let i = 0; i < 4; i++) expect((await fetch(url)).headers.has('RateLimit')).toBe(false);
  });

  test('works on a bare node:http server', async () => {
    const middleware = rateLimit(limiter(), { check: () => ({ ids: { api: ['all'] } }), fields: 'ietf' });
    const url = await listen((request, response) =>
      middleware(request, response, () => response.end('through')),
    );
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await fetch(url)).status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  test('refuses options that are none, at construction', () => {
    expect(() => rateLimit(limiter(), { check: 'ip' } as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});
