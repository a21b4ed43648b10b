import type { TestProject } from 'vitest/node';
import { startPostgres } from './postgres.ts';
import type { PostgresServer } from './postgres-server.ts';
import { startRedis } from './redis.ts';
import type { RedisServer } from './redis-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A Redis shared by all test files of the run. */
    redisUrl: string;
    /** A superuser of the run's PostgreSQL, in the database `postgres`. */
    postgresUrl: string;
  }
}

/** The services of a run and the number of vitest projects that use them. */
interface RunServices {
  projects: number;
  started: Promise<{ readonly redis: RedisServer; readonly postgres: PostgresServer }>;
}

/** vitest loads this file once for each project, so what the projects share cannot be a variable of the file. */
const shared = globalThis as { [key: symbol]: RunServices | undefined };
const key = Symbol.for('cachekit.services');

/**
 * Starts one Redis and one PostgreSQL for a run, whatever the number of projects that name this file as `globalSetup`.
 * A missing service fails the run.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const services = shared[key] ?? { projects: 0, started: startBoth() };
  shared[key] = services;
  services.projects += 1;
  const { redis, postgres } = await services.started;
  project.provide('redisUrl', redis.url);
  project.provide('postgresUrl', postgres.url);
  return async () => {
    services.projects -= 1;
    if (services.projects > 0) return;
    shared[key] = undefined;
    await Promise.all([redis.stop(), postgres.stop()]);
  };
}

async function startBoth(): RunServices['started'] {
  const [redis, postgres] = await Promise.allSettled([startRedis(), startPostgres()]);
  if (redis.status === 'fulfilled' && postgres.status === 'fulfilled') {
    return { redis: redis.value, postgres: postgres.value };
  }
  for (const service of [redis, postgres]) if (service.status === 'fulfilled') await service.value.stop();
  throw redis.status === 'rejected' ? redis.reason : (postgres as PromiseRejectedResult).reason;
}
