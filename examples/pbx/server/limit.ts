import { clientIp } from '@cachekit/ratelimit';
import { rateLimit } from '@cachekit/ratelimit/hono';
import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context, MiddlewareHandler } from 'hono';
import type { PbxLimiter } from '../limits.ts';
import { accountOf, knownAccount } from './account.ts';

/** Nobody's proxy stands before this server. */
const ipOf = clientIp({ trustedProxies: 0 });

const addressOf = (c: Context): string => ipOf(c.req.raw, getConnInfo(c).remote.address);

/** Limits everything under `/api` together and each route of it, in one question: by account, or by address without one. */
export function limitApi(limiter: PbxLimiter): MiddlewareHandler {
  return rateLimit(limiter, {
    check: (c: Context) => {
      const route = [c.req.method, c.req.path.split('/')[2] ?? ''];
      const tenant = accountOf(c.req.raw);
      if (tenant !== undefined) return { ids: { api: [], route }, tenant };
      const address = addressOf(c);
      return { ids: { api: [address], route: [address, ...route] } };
    },
  });
}

/** Limits the calls that an account places. */
export function limitCalls(limiter: PbxLimiter): MiddlewareHandler {
  return rateLimit(limiter, {
    check: (c: Context) => ({ ids: { calls: [] }, tenant: knownAccount(c.req.raw) }),
  });
}

/** Limits the commands that are sent to a device. */
export function limitCommands(limiter: PbxLimiter): MiddlewareHandler {
  return rateLimit(limiter, {
    check: (c: Context) => ({
      ids: { commands: [c.req.param('id') ?? ''] },
      tenant: knownAccount(c.req.raw),
    }),
  });
}

/** Limits the codes that are given out to an address. */
export function limitCodes(limiter: PbxLimiter): MiddlewareHandler {
  return rateLimit(limiter, { check: (c: Context) => ({ ids: { codes: [addressOf(c)] } }) });
}
