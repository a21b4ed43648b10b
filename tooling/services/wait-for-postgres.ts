import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Milliseconds for a server to take connections; a container initialises its database first. */
const patience = 60_000;

/** Waits until the server takes a connection; false when `ended` says that it never will, or after 60 s. */
export async function waitForPostgres(host: string, port: number, ended: () => boolean): Promise<boolean> {
  const deadline = performance.now() + patience;
  while (performance.now() < deadline && !ended()) {
    const client = new pg.Client({
      host,
      port,
      user: 'postgres',
      database: 'postgres',
      connectionTimeoutMillis: 2_000,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      return !ended();
    } catch {
      await sleep(20);
    } finally {
      await client.end().catch(() => {});
    }
  }
  return false;
}
