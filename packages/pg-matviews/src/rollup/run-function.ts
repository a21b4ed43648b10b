import { quoteLiteral } from '@cachekit/core/postgres';
import type { RollupProgram } from './objects.ts';

/**
 * The statement that creates the function which runs what most refreshes run: planned anew each time, a few groups would cost as
 * much to plan as to compute.
 *
 * `run('load')` gives marks, dirty groups, whether marks name parts of a key, or nothing of it, and groups; `run('exact')`
 * how many groups it changed. It has the rights of its caller, and takes a snapshot for each statement. A session keeps the
 * plans while tables grow, so groups are looked up by their index from the beginning. That makes reading the log dear, as the
 * planner counts, but not so dear that other processes are to be started for it.
 */
export function runFunctionSql({ run, load, exact, searchPath }: RollupProgram): string {
  // Columns of the user may be called as variables are, such as "found".
  const body = `
#variable_conflict use_column
DECLARE
  ck_rows bigint;
BEGIN
  IF $1 = 'load' THEN
    RETURN (SELECT ARRAY[l.marks, l.dirty, l.parts::integer, l.everything::integer, l.groups]::bigint[] FROM (${load}) l);
  END IF;
  ${exact};
  GET DIAGNOSTICS ck_rows = ROW_COUNT;
  RETURN ARRAY[ck_rows];
END`;
  return `CREATE OR REPLACE FUNCTION ${run}(text) RETURNS bigint[] LANGUAGE plpgsql SET search_path = ${searchPath} SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 AS ${quoteLiteral(body).trim()}`;
}
