import { ArgumentError, isCacheKitError } from '@cachekit/core';
import { sseHandler } from '@cachekit/realtime';
import { Hono } from 'hono';
import type { Switchboard } from '../wiring.ts';
import { accountOf } from './account.ts';
import { callRoutes } from './calls.ts';
import { accountRoutes, dashboardRoutes } from './dashboard.ts';
import { deviceRoutes } from './devices.ts';
import { limitApi } from './limit.ts';
import { operationRoutes } from './operations.ts';
import { newDeviceRoutes, pairingRoutes } from './pairing.ts';

/** The HTTP interface of the call centre; the page is served beside it. */
export function createApp(switchboard: Switchboard, onTrouble: (error: unknown) => void): Hono {
  const app = new Hono();
  app.use('/api/*', limitApi(switchboard.limiter));
  for (const routes of [accountRoutes, operationRoutes, newDeviceRoutes])
    app.route('/api', routes(switchboard));

  app.use('/api/*', async (c, next) => {
    if (accountOf(c.req.raw) === undefined) return c.json({ error: 'Give the account in X-Account-Id' }, 401);
    await next();
    // Two accounts read from the same address: a browser must not give one what it has kept of the other.
    c.header('Vary', 'X-Account-Id', { append: true });
  });
  for (const routes of [dashboardRoutes, callRoutes, deviceRoutes, pairingRoutes])
    app.route('/api', routes(switchboard));

  const stream = sseHandler(switchboard.hub, {
    authenticate: (request) => {
      const tenant = accountOf(request);
      return tenant === undefined ? undefined : { tenant };
    },
  });
  app.get('/api/events', (c) => stream(c.req.raw));

  app.onError((error, c) => {
    if (isCacheKitError(error, 'REDIS_UNAVAILABLE')) return c.json({ error: 'Redis does not answer' }, 503);
    if (error instanceof ArgumentError) return c.json({ error: error.message }, 400);
    onTrouble(error);
    return c.json({ error: 'Something went wrong' }, 500);
  });
  return app;
}
