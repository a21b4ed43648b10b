/** The names an `@example` of `@cachekit/ratelimit` may take for granted. */
import { createRateLimiter, fixedWindow, gcra, memoryStore } from '@cachekit/ratelimit';
import express from 'express';

export const limiter = createRateLimiter({
  policies: { api: gcra({ limit: 60, window: '1m' }), commands: fixedWindow({ limit: 10, window: '60s' }) },
  store: memoryStore(),
});
export const decision = await limiter.consume({ api: ['7'] });

export const app = express();
export const response = { setHeader(_name: string, _value: string): void {} };

export function userOf(request: Request): string {
  return request.headers.get('x-user') ?? 'nobody';
}
