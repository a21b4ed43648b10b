/** A refresh that took longer is kept in the history of its view. */
const slowMs = 1_000;
/** So many are kept, as the history is a column of the row that every refresh writes. */
const keptRuns = 20;
const mostErrorText = 500;

/** SQL for a history with one more run, newest first. */
const keptSql = (run: string, history: string): string =>
  `jsonb_path_query_array(jsonb_strip_nulls(${run}) || ${history}, '$[0 to ${keptRuns - 1}]')`;

const now = 'extract(epoch FROM clock_timestamp()) * 1000';

/**
 * The statement, as far as its WHERE, that writes down a refresh in `cachekit.view` under its lock: the counts in the row that is
 * written anyway, and of a slow one what it did.
 *
 * @param mode - SQL, as are the others.
 */
export function refreshedSql(mode: string, marks: string, groups?: string): string {
  const run = `jsonb_build_object('endedAt', ${now}, 'mode', ${mode}, 'durationMs', took, 'marks', ${marks}, 'groups', ${groups ?? 'NULL'})`;
  return `
  took := extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000;
  UPDATE cachekit.view SET fresh_as_of = transaction_timestamp(), failures = 0, last_error = NULL, failed_at = NULL,
    paused = nullif(paused, 'failures'), last_run_ms = took, refreshes = refreshes + 1, refresh_ms = refresh_ms + took,
    ${groups === undefined ? '' : `changed_groups = changed_groups + ${groups}, `}history = CASE WHEN took < ${slowMs} THEN history ELSE ${keptSql(run, 'history')} END`;
}

/**
 * Counts a failure that some worker writes down, whatever its version. A worker may write `failures` of the row and not much else,
 * and needs no right for what a trigger adds.
 */
export const countFailureSql: string = `CREATE OR REPLACE FUNCTION cachekit.count_failure() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  NEW.failed_refreshes := OLD.failed_refreshes + 1;
  NEW.history := ${keptSql(`jsonb_build_object('endedAt', ${now}, 'error', left(NEW.last_error, ${mostErrorText}))`, 'OLD.history')};
  RETURN NEW;
END $body$`;

export const countFailureTriggerSql: string = `CREATE TRIGGER count_failure BEFORE UPDATE OF failures ON cachekit.view
      FOR EACH ROW WHEN (NEW.failures > OLD.failures) EXECUTE FUNCTION cachekit.count_failure()`;
