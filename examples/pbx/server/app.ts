import type { CacheKey } from '@cachekit/core';
import { metricsHandler, withCache } from '@cachekit/core/http';
import { withRateLimit } from '@cachekit/ratelimit/fetch';
import { sseHandler } from '@cachekit/realtime';
import { Hono } from 'hono';
import { keys } from '../keys.ts';
import { inventPhoneNumber } from '../seed/invent.ts';
import { writeCall } from '../simulator.ts';
import type { Switchboard } from '../wiring.ts';
import { accountOf, knownAccount } from './account.ts';
import { reads } from './reads.ts';

/** The HTTP interface of the call centre; the page is served beside it. */
export function createApp({ sql, cache, limiter, hub, presence }: Switchboard): Hono {
  const app = new Hono();

  const cached = <T>(
    keyOf: (account: string, request: Request) => CacheKey<T>,
    load: (account: string, request: Request) => Promise<T>,
  ) =>
    limited(
      withCache(cache, {
        key: (request) => keyOf(knownAccount(request), request),
        load: (request) => load(knownAccount(request), request),
      }),
    );

  const limited = (handler: (request: Request) => Promise<Response>) =>
    withRateLimit(
      limiter,
      { check: (request) => ({ ids: { api: [] }, tenant: knownAccount(request) }) },
      handler,
    );

  app.get('/api/accounts', async (c) => c.json(await reads.accounts(sql)));

  const cacheMetrics = metricsHandler(cache);
  app.all('/api/v1/cache/metrics', (c) => cacheMetrics(c.req.raw));

  app.use('/api/*', async (c, next) => {
    if (accountOf(c.req.raw) === undefined) return c.json({ error: 'Give the account in X-Account-Id' }, 401);
    return next();
  });

  const routes: Record<string, (request: Request) => Promise<Response>> = {
    '/api/statistics': cached(
      (tenant) => keys.statistics({ tenant }),
      (account) => reads.statistics(sql, account),
    ),
    '/api/devices': cached(
      (tenant) => keys.devices({ tenant }),
      (account) => reads.devices(sql, account),
    ),
    '/api/campaigns': cached(
      (tenant) => keys.campaigns({ tenant }),
      (account) => reads.campaigns(sql, account),
    ),
    '/api/calls': cached(
      (tenant, request) => keys.recentCalls({ tenant, limit: limitOf(request) }),
      (account, request) => reads.recentCalls(sql, account, limitOf(request)),
    ),
  };
  for (const [path, handler] of Object.entries(routes)) app.get(path, (c) => handler(c.req.raw));

  app.get('/api/presence', async (c) => {
    const account = knownAccount(c.req.raw);
    const { total } = await cache.getOrLoad(keys.deviceCount({ tenant: account }), () =>
      reads.deviceCount(sql, account),
    );
    // Without Redis nobody knows who is online, and the rest of the page does not depend on it.
    const online = await presence
      .online(account)
      .then((devices) => devices.length)
      .catch(() => null);
    return c.json({ online, total });
  });

  app.post('/api/calls', async (c) => {
    const account = knownAccount(c.req.raw);
    const { rows } = await sql.query<{ id: string; user_id: string }>(
      'select id::text, user_id::text from devices where user_id = $1 order by random() limit 1',
      [account],
    );
    const [device] = rows;
    if (!device) return c.json({ error: 'The account has no device' }, 409);
    return c.json({ callId: await writeCall(sql, device, inventPhoneNumber(Math.random)) }, 201);
  });

  const sendCommand = withRateLimit(
    limiter,
    {
      check: (request, device: string) => ({ ids: { commands: [device] }, tenant: knownAccount(request) }),
    },
    (_request: Request, _device: string) => Response.json({ accepted: true }, { status: 202 }),
  );
  app.post('/api/devices/:id/commands', (c) => sendCommand(c.req.raw, c.req.param('id')));

  const stream = sseHandler(hub, {
    authenticate: (request) => {
      const tenant = accountOf(request);
      return tenant === undefined ? undefined : { tenant };
    },
  });
  app.get('/api/events', (c) => stream(c.req.raw));

  return app;
}

function limitOf(request: Request): number {
  const limit = Number(new URL(request.url).searchParams.get('limit') ?? 20);
  return Number.isInteger(limit) && limit >= 1 && limit <= 100 ? limit : 20;
}
