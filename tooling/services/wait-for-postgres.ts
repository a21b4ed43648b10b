import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/**
 * Waits until the server at a loopback port takes a connection; false when `ended` says that it never will, or after
 * 30 s.
 */
export async function waitForPostgres(port: number, ended: () => boolean): Promise<boolean> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline && !ended()) {
    const client = new pg.Client({
      host: '127.0.0.1',
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
