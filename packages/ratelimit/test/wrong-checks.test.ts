import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { rateLimit as expressLimit, rateLimitStore } from '../src/express/index.ts';
import { rateLimit as fastifyLimit } from '../src/fastify/index.ts';
import { withRateLimit } from '../src/fetch/index.ts';
import { rateLimit as honoLimit } from '../src/hono/index.ts';
import { createRateLimiter, gcra, getRateLimiter, memoryStore } from '../src/index.ts';

const limiter = () =>
  createRateLimiter({ policies: { api: gcra({ limit: 9, window: '1m' }) }, store: memoryStore() });
const invalidOption = expect.objectContaining({ code: 'INVALID_CONFIGURATION' });
const invalidArgument = expect.objectContaining({ code: 'INVALID_ARGUMENT' });

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe('a check that fails without an error lets nobody pass', () => {
  const check = () => Promise.reject();

  test('express', async () => {
    const app = express();
    app.use(expressLimit(limiter(), { check }));
    app.use((_request, response) => void response.send('served'));
    app.use(
      (error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
        response.status(418).send(error.message);
      },
    );
    const server = createServer(app);
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(await response.text()).toBe('rateLimit: check: it failed and gave no reason');
    expect(response.status).toBe(418);
  });

  test('fastify', async () => {
    const app = fastify();
    closers.push(() => app.close());
    app.addHook('onRequest', fastifyLimit(limiter(), { check }));
    app.get('/', async () => 'served');
    expect((await app.inject('/')).statusCode).toBe(500);
  });
});

describe('what is no check', () => {
  test.each([null, false, '', 'api', {}, { ids: null }, { ids: 'api' }])(
    'a check that gives %j is told what to give',
    async (given) => {
      const handle = withRateLimit(limiter(), { check: () => given as never }, () => new Response());
      await expect(handle(new Request('http://localhost/'))).rejects.toEqual(invalidArgument);
    },
  );

  test.each([null, 600, 'api', true])('limits of %j are refused', async (limits) => {
    const asked = { ids: { api: ['u1'] }, limits: limits as never };
    const handle = withRateLimit(limiter(), { check: () => asked }, () => new Response());
    await expect(handle(new Request('http://localhost/'))).rejects.toEqual(invalidArgument);
    await expect(limiter().consume(asked.ids, { limits: asked.limits })).rejects.toEqual(invalidArgument);
  });

  test('a signal that is null is refused', async () => {
    await expect(limiter().wait({ api: ['u1'] }, { signal: null as never })).rejects.toEqual(invalidArgument);
  });
});

describe('what is no limiter is refused, and fields that are none', () => {
  test.each([
    ['express', expressLimit],
    ['fastify', fastifyLimit],
    ['hono', honoLimit],
    ['fetch', withRateLimit],
  ])('%s', (_name, factory) => {
    const make = factory as (limits: unknown, options: object, handler: unknown) => unknown;
    const check = () => undefined;
    const handler = () => new Response();
    expect(() => make(undefined, { check }, handler)).toThrow(invalidOption);
    expect(() => make(limiter(), { check, fields: 'draft-8' }, handler)).toThrow(invalidOption);
  });

  test.each([undefined, null, {}])('rateLimitStore(%j), getRateLimiter(%j)', (none) => {
    expect(() => rateLimitStore(none as never, 'api')).toThrow(invalidOption);
    if (none !== undefined) expect(() => getRateLimiter(none as never, 'api')).toThrow(invalidOption);
  });
});
