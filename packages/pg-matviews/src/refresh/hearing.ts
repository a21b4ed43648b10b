import type { Clock, SqlExecutor, SqlListener } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';

const channel = 'cachekit_probe';
/** How long a notification may be under way, and how many are sent before the listener is taken for deaf. */
const patienceMs = 300;
const attempts = 4;

/**
 * Whether the listener hears what this database says: behind a pooler in transaction mode LISTEN is accepted and forgotten, and
 * another database has channels of its own. Any notification on the channel tells, whoever sent it.
 *
 * @param over - Whether nobody wants to know any more: then the database is asked nothing.
 */
export async function hears(
  sql: SqlExecutor,
  listener: SqlListener,
  clock: Clock,
  over: () => boolean,
): Promise<boolean> {
  let heard = false;
  let wake = (): void => undefined;
  const unlisten = await listener.listen(channel, () => {
    heard = true;
    wake();
  });
  try {
    for (let i = 0; i < attempts && !heard && !over(); i++) {
      await sql.query(`SELECT pg_notify(${quoteLiteral(channel)}, '')`);
      if (heard) break;
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, patienceMs);
        wake = () => {
          clock.clearTimeout(timer);
          resolve();
        };
      });
    }
    return heard;
  } finally {
    await unlisten().catch(() => undefined);
  }
}
