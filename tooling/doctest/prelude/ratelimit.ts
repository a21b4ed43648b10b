/** The names an `@example` of `@cachekit/ratelimit` may take for granted. */
import { createRateLimiter, fixedWindow, gcra, memoryStore } from '@cachekit/ratelimit';
import express from 'express';
import { rateLimit as expressRateLimit } from 'express-rate-limit';
import createFastify, { type FastifyRequest } from 'fastify';
import { type Context, Hono } from 'hono';

export const limiter = createRateLimiter({
  policies: { api: gcra({ limit: 60, window: '1m' }), commands: fixedWindow({ limit: 10, window: '60s' }) },
  store: memoryStore(),
});
export const decision = await limiter.consume({ api: ['7'] });

export const app = express();
export const fastify = createFastify();
export const hono = new Hono();
export type { Context, FastifyRequest };
export { expressRateLimit };
export const response = { setHeader(_name: string, _value: string): void {} };

export function userOf(request: Request): string {
  return request.headers.get('x-user') ?? 'nobody';
}
