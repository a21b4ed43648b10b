import type { SqlExecutor } from '@cachekit/core';
import { sqlState } from '../sql/sql-state.ts';

/** Thrown to undo what was only tried. */
class Undo extends Error {}

/** Runs `run` in a savepoint that is always rolled back. */
export async function tried<T>(sql: SqlExecutor, run: (savepoint: SqlExecutor) => Promise<T>): Promise<T> {
  let result: { readonly value: T } | undefined;
  try {
    await sql.transaction(async (savepoint) => {
      result = { value: await run(savepoint) };
      throw new Undo();
    });
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
  }
  if (result === undefined) throw new Error('The savepoint has not run');
  return result.value;
}

/** How a query is understood by the server: the names and types of its columns, and its tree. */
export interface Understood {
  readonly columns: string;
  readonly tree: string;
}

/** What the server makes of `query`; `undefined` if it refuses it. */
export async function understood(sql: SqlExecutor, query: string): Promise<Understood | undefined> {
  try {
    return await tried(sql, async (savepoint) => {
      await savepoint.query(`CREATE TEMPORARY VIEW cachekit_probe AS ${query}`);
      const { rows } = await savepoint.query<{ columns: string; tree: string }>(
        `SELECT (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
             FROM pg_attribute a WHERE a.attrelid = r.ev_class AND a.attnum > 0) AS columns, r.ev_action::text AS tree
         FROM pg_rewrite r WHERE r.ev_class = 'pg_temp.cachekit_probe'::regclass`,
      );
      return { columns: String(rows[0]?.columns), tree: String(rows[0]?.tree) };
    });
  } catch {
    return undefined;
  }
}

/**
 * What `run` gives, or `undefined` if the server refuses it: rows that the role may not read, that somebody holds a lock on,
 * that are not there yet, or whose view fails. Then the doctor cannot tell, and goes on.
 */
export async function ifReadable<T>(
  sql: SqlExecutor,
  run: (savepoint: SqlExecutor) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await sql.transaction(run);
  } catch (error) {
    const state = sqlState(error);
    // Of class 08 and 57 are lost connections, servers that shut down and cancelled statements.
    if (state === undefined || state.startsWith('08') || state.startsWith('57')) throw error;
    return undefined;
  }
}
