import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type RequestHandler } from 'express';
import { rateLimit as expressRateLimit, type Store } from 'express-rate-limit';
import fastify, { type FastifyRequest } from 'fastify';
import { type Context, Hono } from 'hono';
import { rateLimit, rateLimitStore } from '../src/express/index.ts';
import { rateLimit as fastifyRateLimit } from '../src/fastify/index.ts';
import { rateLimitedFetch, withRateLimit } from '../src/fetch/index.ts';
import { rateLimit as honoRateLimit } from '../src/hono/index.ts';
import { clientIp, createRateLimiter, gcra, memoryStore } from '../src/index.ts';

const limiter = createRateLimiter({
  policies: { api: gcra({ limit: 60, window: '1m' }) },
  store: memoryStore(),
});

export const handler: RequestHandler = rateLimit(limiter, {
  check: (request: express.Request) => ({ ids: { api: [request.ip ?? 'unknown'] } }),
});

express().use(
  rateLimit(limiter, { check: (request: express.Request) => ({ ids: { api: [request.path] } }) }),
);

export const bare: (request: IncomingMessage, response: ServerResponse, next: () => void) => void = rateLimit(
  limiter,
  { check: (request: IncomingMessage) => ({ ids: { api: [request.socket.remoteAddress ?? 'unknown'] } }) },
);

export const route: (request: Request, context: { params: { id: string } }) => Promise<Response> =
  withRateLimit(
    limiter,
    { check: (_request, { params }) => ({ ids: { api: [params.id] }, tenant: 'acme', cost: 2 }) },
    (_request, context: { params: { id: string } }) => Response.json(context.params),
  );

withRateLimit(
  limiter,
  // @ts-expect-error no such policy
  { check: () => ({ ids: { nope: ['u1'] } }) },
  () => new Response(),
);

export const store: Store = rateLimitStore(limiter, 'api');
expressRateLimit({ limit: 60, store });
// @ts-expect-error no such policy
rateLimitStore(limiter, 'nope');

const ipOf = clientIp({ trustedProxies: 1 });
const app = fastify();
app.addHook(
  'onRequest',
  fastifyRateLimit(limiter, { check: (request: FastifyRequest) => ({ ids: { api: [ipOf(request)] } }) }),
);
app.get(
  '/',
  {
    preHandler: fastifyRateLimit(limiter, {
      check: ({ raw }: FastifyRequest) => ({ ids: { api: [raw.url ?? ''] } }),
    }),
  },
  async () => 'served',
);

const hono = new Hono<{ Variables: { user: string } }>();
hono.use(
  '/api/*',
  honoRateLimit(limiter, {
    check: (c: Context<{ Variables: { user: string } }>) => ({
      ids: { api: [c.get('user'), ipOf(c.req.raw)] },
    }),
  }),
);
express().use((request, _response, next) => {
  ipOf(request);
  next();
});

export const polite: (input: string | URL | Request, init?: RequestInit) => Promise<Response> =
  rateLimitedFetch();
export const asFetch: typeof globalThis.fetch = rateLimitedFetch();
