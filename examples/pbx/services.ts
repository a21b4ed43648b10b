import type { RedisEnvironment } from '@cachekit/redis/env';
import { createDatabase, MissingServiceError, startPostgres, startRedis } from '@cachekit/services';

/** The servers a run uses; stopping them leaves nothing behind. */
export interface DemoServices {
  databaseUrl: string;
  /** Says nothing where there is none. */
  redis: RedisEnvironment;
  stop(): Promise<void>;
}

/**
 * Finds or starts PostgreSQL and Redis, and makes a database for this run. The Redis is that of Upstash where its variables
 * are set, else the one of `REDIS_URL`, else one that is started.
 *
 * @param wantRedis - Without Redis, and where none can be started, everything runs in one process.
 * @throws MissingServiceError if there is no PostgreSQL and none can be started.
 */
export async function startServices(
  wantRedis: boolean,
  show: (task: string, detail: string) => void,
): Promise<DemoServices> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const postgres = await startPostgres();
    stops.push(() => postgres.stop());
    const database = await createDatabase(postgres.url);
    stops.push(() => database.drop());
    const redis = wantRedis ? await redisIfPossible(stops, show) : {};
    if (!wantRedis) show('Redis', 'not used: one process, everything in memory');
    return { databaseUrl: database.url, redis, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function redisIfPossible(
  stops: (() => Promise<unknown>)[],
  show: (task: string, detail: string) => void,
): Promise<RedisEnvironment> {
  const { UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN } = process.env;
  if (UPSTASH_REDIS_REST_URL && UPSTASH_REDIS_REST_TOKEN) {
    show('Redis', 'that of Upstash, as the environment says');
    return { UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN };
  }
  try {
    const server = await startRedis();
    stops.push(() => server.stop());
    return { REDIS_URL: server.url };
  } catch (error) {
    if (!(error instanceof MissingServiceError)) throw error;
    show('Redis', `could not be started, so everything runs in this one process. ${error.message}`);
    return {};
  }
}
