import pg from 'pg';
import { type Found, LinkUnavailable } from './link.ts';
import type { PostgresServer } from './postgres-server.ts';

/**
 * The server of `DATABASE_URL`.
 *
 * @throws LinkUnavailable when the variable is unset, or the caller needs a server of its own.
 * @throws Error when it is set and nothing answers there: a wish that cannot be met is no reason to use another server.
 */
export async function postgresFromEnvironment(own: boolean): Promise<Found<PostgresServer>> {
  const url = process.env.DATABASE_URL;
  if (url === undefined || url === '') throw new LinkUnavailable('DATABASE_URL is not set');
  if (own) throw new LinkUnavailable('DATABASE_URL is shared, and a server of its own is needed here');
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (cause) {
    throw new Error(`DATABASE_URL is set, but no PostgreSQL answers at ${shown.href}: ${cause}`, { cause });
  } finally {
    await client.end().catch(() => {});
  }
  const refuse = async (): Promise<never> => {
    throw new Error(
      'The server of DATABASE_URL is not ours to kill: start one with startPostgres({ own: true })',
    );
  };
  return {
    url,
    port: Number(shown.port) || 5432,
    pid: undefined,
    link: 'env',
    origin: `DATABASE_URL (${shown.href})`,
    kill: refuse,
    restart: refuse,
    stop: async () => {},
  };
}
