import type { CacheKey } from '@cachekit/core';
import { withCache } from '@cachekit/core/http';
import { Hono } from 'hono';
import { globalKeys, keys } from '../keys.ts';
import type { Switchboard } from '../wiring.ts';
import { knownAccount } from './account.ts';
import { reads } from './reads.ts';

/** Names of the accounts, for whoever has not chosen one yet. */
export function accountRoutes({ sql, cache }: Switchboard): Hono {
  const accounts = withCache(cache, {
    key: () => globalKeys.accounts(),
    load: () => reads.accounts(sql),
  });
  return new Hono().get('/accounts', (c) => accounts(c.req.raw));
}

/** What the dashboard reads of an account, each by way of the cache. */
export function dashboardRoutes({ sql, cache }: Switchboard): Hono {
  const cached = <T>(
    keyOf: (tenant: string, request: Request) => CacheKey<T>,
    load: (account: string, request: Request) => Promise<T>,
  ) =>
    withCache(cache, {
      key: (request) => keyOf(knownAccount(request), request),
      load: (request) => load(knownAccount(request), request),
    });

  const routes: Record<string, (request: Request) => Promise<Response>> = {
    '/statistics': cached(
      (tenant) => keys.statistics({ tenant }),
      (account) => reads.statistics(sql, account),
    ),
    '/devices': cached(
      (tenant) => keys.devices({ tenant }),
      (account) => reads.devices(sql, account),
    ),
    '/campaigns': cached(
      (tenant) => keys.campaigns({ tenant }),
      (account) => reads.campaigns(sql, account),
    ),
    '/calls': cached(
      (tenant, request) => keys.recentCalls({ tenant, limit: limitOf(request) }),
      (account, request) => reads.recentCalls(sql, account, limitOf(request)),
    ),
  };
  const app = new Hono();
  for (const [path, handler] of Object.entries(routes)) app.get(path, (c) => handler(c.req.raw));
  return app;
}

function limitOf(request: Request): number {
  const limit = Number(new URL(request.url).searchParams.get('limit') ?? 20);
  return Number.isInteger(limit) && limit >= 1 && limit <= 100 ? limit : 20;
}
