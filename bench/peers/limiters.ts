import { createRequire } from 'node:module';
import type { Redis } from 'ioredis';

/** Counts one request of a key; whether it passes. */
export type Check = (key: string) => Promise<boolean>;

/** Makes the checks of a library, each over the client it is given and with a limit nobody reaches. */
type Peer = (client: Redis, limit: number, windowMs: number) => Promise<Check>;

const require = createRequire(import.meta.url);

/** The libraries one would take otherwise, as their own documents say to use them with ioredis. */
const peers: Readonly<Record<string, Peer>> = {
  async 'rate-limiter-flexible'(client, limit, windowMs) {
    const { RateLimiterRedis } = await import('rate-limiter-flexible');
    const limiter = new RateLimiterRedis({ storeClient: client, points: limit, duration: windowMs / 1_000 });
    return async (key) => {
      try {
        await limiter.consume(key);
        return true;
      } catch (reason) {
        if (reason instanceof Error) throw reason;
        return false;
      }
    };
  },
  async 'rate-limit-redis'(client, limit, windowMs) {
    const { RedisStore } = await import('rate-limit-redis');
    const store = new RedisStore({
      sendCommand: (command: string, ...args: string[]) => client.call(command, ...args) as Promise<never>,
    });
    store.init({ windowMs } as never);
    return async (key) => (await store.increment(key)).totalHits <= limit;
  },
  async '@fastify/rate-limit'(client, limit, windowMs) {
    const RedisStore = require('@fastify/rate-limit/store/RedisStore') as new (
      continueExceeding: boolean,
      exponentialBackoff: boolean,
      redis: Redis,
    ) => {
      incr(
        key: string,
        done: (error: Error | null, result: { current: number } | null) => void,
        timeWindow: number,
        max: number,
      ): void;
    };
    const store = new RedisStore(false, false, client);
    return (key) =>
      new Promise((resolve, reject) => {
        const done = (error: Error | null, result: { current: number } | null): void =>
          error ? reject(error) : resolve((result?.current ?? 0) <= limit);
        store.incr(key, done, windowMs, limit);
      });
  },
  async 'hono-rate-limiter'(client, limit, windowMs) {
    const { RedisStore } = await import('hono-rate-limiter');
    const store = new RedisStore({
      client: {
        scriptLoad: (script: string) => client.script('LOAD', script),
        evalsha: (sha: string, keys: string[], args: unknown[]) =>
          client.evalsha(sha, keys.length, ...keys, ...(args as string[])),
        decr: (key: string) => client.decr(key),
        del: (key: string) => client.del(key),
      },
    } as never);
    store.init({ windowMs } as never);
    return async (key) => (await store.increment(key)).totalHits <= limit;
  },
  async 'redis-gcra'(client, limit, windowMs) {
    const redisGcra = require('redis-gcra') as (options: object) => {
      limit(options: { key: string }): Promise<{ limited: boolean }>;
    };
    const limiter = redisGcra({
      redis: client,
      keyPrefix: 'rg',
      burst: limit,
      rate: limit,
      period: windowMs,
    });
    return async (key) => !(await limiter.limit({ key })).limited;
  },
};

/** Every library that is installed; `undefined` for one that is not. */
export async function installedLimiters(
  client: Redis,
  limit: number,
  windowMs: number,
): Promise<ReadonlyMap<string, Check | undefined>> {
  const found = new Map<string, Check | undefined>();
  for (const [name, make] of Object.entries(peers)) {
    try {
      found.set(name, await make(client, limit, windowMs));
    } catch (error) {
      if (!/^(ERR_)?MODULE_NOT_FOUND$/.test((error as { code?: string }).code ?? '')) throw error;
      found.set(name, undefined);
    }
  }
  return found;
}

/** `@upstash/ratelimit` over the REST protocol, in front of the same Redis; `undefined` if it is not installed or does not run on it. */
export async function upstashLimiter(
  rest: { readonly url: string; readonly token: string },
  limit: number,
  windowMs: number,
): Promise<Check | undefined> {
  try {
    const { Ratelimit } = await import('@upstash/ratelimit');
    const { Redis: Rest } = await import('@upstash/redis');
    const limiter = new Ratelimit({
      redis: new Rest(rest),
      limiter: Ratelimit.fixedWindow(limit, `${windowMs} ms`),
      ephemeralCache: false,
    });
    const check: Check = async (key) => (await limiter.limit(key)).success;
    await check('runs');
    return check;
  } catch (error) {
    console.error(
      `@upstash/ratelimit is left out: ${error instanceof Error ? error.message : String(error)}`,
    );
    return undefined;
  }
}
