import type { SqlExecutor } from '@cachekit/core';
import { wakeSql } from '@cachekit/core/postgres';
import { RefreshFailedError } from '../errors.ts';
import { wakeSubject } from '../sql/mark-trigger.ts';

/** Pauses a view for every process, or ends that and forgets its failures. */
export async function setPaused(sql: SqlExecutor, view: string, paused: boolean): Promise<void> {
  const { rowCount } = await sql.query(
    paused
      ? `UPDATE cachekit.view SET paused = 'call' WHERE name = $1`
      : `UPDATE cachekit.view SET paused = NULL, failures = 0, failed_at = NULL WHERE name = $1`,
    [view],
  );
  if (rowCount === 0) throw new RefreshFailedError(view, 'it was never applied');
  if (!paused) await sql.query(wakeSql(wakeSubject, 'select'));
}
