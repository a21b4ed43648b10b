import { type Found, LinkUnavailable } from './link.ts';
import type { PostgresServer } from './postgres-server.ts';

export async function startPostgresContainer(): Promise<Found<PostgresServer>> {
  throw new LinkUnavailable('no container engine');
}
