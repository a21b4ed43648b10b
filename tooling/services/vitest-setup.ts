import type { TestProject } from 'vitest/node';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A Redis shared by all test files of the run. */
    redisUrl: string;
    /** A superuser of the run's PostgreSQL, in the database `postgres`. */
    postgresUrl: string;
  }
}

/** Starts one Redis and one PostgreSQL for a run; vitest calls it as `globalSetup`. A missing service fails the run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [redis, postgres] = await Promise.allSettled([startRedis(), startPostgres()]);
  const stop = async (): Promise<void> => {
    const started = [redis, postgres].filter((service) => service.status === 'fulfilled');
    await Promise.all(started.map((service) => service.value.stop()));
  };
  if (redis.status === 'rejected' || postgres.status === 'rejected') {
    await stop();
    throw redis.status === 'rejected' ? redis.reason : (postgres as PromiseRejectedResult).reason;
  }
  project.provide('redisUrl', redis.value.url);
  project.provide('postgresUrl', postgres.value.url);
  return stop;
}
