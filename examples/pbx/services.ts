import { createDatabase, MissingServiceError, startPostgres, startRedis } from '@cachekit/services';

/** The servers a run uses; stopping them leaves nothing behind. */
export interface DemoServices {
  databaseUrl: string;
  redisUrl: string | undefined;
  stop(): Promise<void>;
}

/**
 * Finds or starts PostgreSQL and Redis, and makes a database for this run.
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
    const redisUrl = wantRedis ? await redisIfPossible(stops, show) : undefined;
    if (!wantRedis) show('Redis', 'not used: one process, everything in memory');
    return { databaseUrl: database.url, redisUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function redisIfPossible(
  stops: (() => Promise<unknown>)[],
  show: (task: string, detail: string) => void,
): Promise<string | undefined> {
  try {
    const server = await startRedis();
    stops.push(() => server.stop());
    return server.url;
  } catch (error) {
    if (!(error instanceof MissingServiceError)) throw error;
    show('Redis', `could not be started, so everything runs in this one process. ${error.message}`);
    return undefined;
  }
}
