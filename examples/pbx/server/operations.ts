import { metricsHandler } from '@cachekit/core/http';
import { Hono } from 'hono';
import type { Parts } from '../page/api.ts';
import type { Switchboard } from '../wiring.ts';

/** What the people who run the application look at; an application lets nobody else in. */
export function operationRoutes({ cache, operations, shared }: Switchboard): Hono {
  const app = new Hono();
  const { redisStats: redis } = operations;
  const metrics = metricsHandler(cache, redis ? { redis } : {});
  app.all('/v1/cache/metrics', (c) => metrics(c.req.raw));
  app.get('/operations', (c) => c.json(operations.report(), 200, { 'Cache-Control': 'no-store' }));
  const parts: Parts = { redis: shared !== undefined };
  app.get('/parts', (c) => c.json(parts));
  return app;
}
