import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type RequestHandler } from 'express';
import { rateLimit } from '../src/express/index.ts';
import { withRateLimit } from '../src/fetch/index.ts';
import { createRateLimiter, gcra, memoryStore } from '../src/index.ts';

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
