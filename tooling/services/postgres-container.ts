import { startContainer } from './container.ts';
import type { Found } from './link.ts';
import type { PostgresServer } from './postgres-server.ts';
import { postgresSettings } from './postgres-settings.ts';
import { wantedPostgres } from './postgres-version.ts';
import { waitForPostgres } from './wait-for-postgres.ts';

/**
 * A PostgreSQL in a container of `CACHEKIT_POSTGRES_IMAGE`, else `postgres` of the version that is asked for, or 18.
 *
 * @throws LinkUnavailable when no engine answers or the image cannot be had.
 */
export async function startPostgresContainer(): Promise<Found<PostgresServer>> {
  const image = process.env.CACHEKIT_POSTGRES_IMAGE ?? `postgres:${wantedPostgres()?.major ?? 18}`;
  const container = await startContainer({
    image,
    port: 5432,
    environment: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
    command: ['postgres', ...postgresSettings.flatMap((setting) => ['-c', setting])],
    answers: (host, port) => waitForPostgres(host, port, () => false),
  });
  return {
    ...container,
    url: `postgres://postgres@${container.host}:${container.port}/postgres`,
    pid: undefined,
    link: 'docker',
    origin: `a container of ${image}`,
  };
}
