import { quoteLiteral, wakeSql } from '@cachekit/core/postgres';
import { wakeSubject } from './mark-trigger.ts';

/** Above this share of dirty groups all of them are computed: one pass costs less than so many look-ups. */
const wholeShare = 0.2;
/** Below so many dirty groups the share does not matter. */
const fewGroups = 100;

/**
 * `cachekit.refresh_rollup(view, forced, since)`: one refresh of a rollup in the caller's READ COMMITTED transaction, if
 * nobody else runs one. Any tool that runs SQL can call it.
 *
 * The row of the view is locked in a statement of its own, so the snapshot of the statement that takes the marks and
 * computes their groups is taken under the lock: of two refreshers the later never stores an older state. That one
 * statement deletes exactly the marks it sees and computes from the same snapshot, so a change it does not see keeps
 * its mark. What is decided before (few groups or all) is a matter of cost only.
 */
export function refreshFunctionSql(outbox: string): string {
  return `CREATE OR REPLACE FUNCTION cachekit.refresh_rollup(view_name text, forced boolean DEFAULT false, since numeric DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql AS ${quoteLiteral(body(outbox)).trim()}`;
}

const body = (outbox: string): string => `
DECLARE
  v record;
  load record;
  program jsonb;
  whole boolean;
  must boolean;
  touched bigint := 0;
  today date := (transaction_timestamp() AT TIME ZONE 'UTC')::date;
  changes jsonb;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'A rollup is refreshed in a READ COMMITTED transaction' USING ERRCODE = 'active_sql_transaction';
  END IF;
  SELECT * INTO v FROM cachekit.view WHERE name = view_name AND kind = 'rollup' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('state', 'busy');
  END IF;
  program := v.rollup->'program';
  -- The planner does not know how few rows the log has, and would compile for many.
  PERFORM set_config('search_path', program->>'searchPath', true), set_config('TimeZone', 'UTC', true),
    set_config('jit', 'off', true);
  EXECUTE program->>'load' INTO load;
  must := forced AND (since IS NULL OR v.fresh_as_of IS NULL OR extract(epoch FROM v.fresh_as_of) * 1000000 < since);
  IF load.marks = 0 AND NOT must THEN
    RETURN jsonb_build_object('state', 'clean', 'freshAsOf', extract(epoch FROM v.fresh_as_of) * 1000);
  END IF;
  whole := must OR load.everything OR (load.dirty > ${fewGroups} AND load.dirty > load.groups * ${wholeShare});
  EXECUTE program->>CASE WHEN whole THEN 'whole' WHEN load.parts THEN 'partial' ELSE 'exact' END;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF program->>'expire' <> '' AND v.expired_on IS DISTINCT FROM today THEN
    EXECUTE program->>'expire';
  END IF;
  UPDATE cachekit.view SET fresh_as_of = transaction_timestamp(), failures = 0, last_error = NULL, failed_at = NULL,
    last_run_ms = extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000, expired_on = today
  WHERE name = view_name;
  changes := '[]';
  IF touched > 0 THEN
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('tenant', c.tenant)) || jsonb_build_object('key', c.key) ORDER BY c.seq), '[]')
    INTO changes
    FROM cachekit.${outbox} c WHERE c.xid = pg_current_xact_id() AND c.source = view_name;
    INSERT INTO cachekit.${outbox} (tenant, source, operation, key)
    SELECT DISTINCT c.value->>'tenant', child.name, 'refresh', '{}'::jsonb
    FROM cachekit.view_edge e JOIN cachekit.view child ON child.name = e.child AND child.kind = 'view' AND child.tenant IS NOT NULL
    CROSS JOIN jsonb_array_elements(changes) c
    WHERE e.parent = view_name;
    ${wakeSql(outbox)};
    INSERT INTO cachekit.mark (view, source, tenant, everything)
    SELECT DISTINCT child.name, view_name, t.tenant, t.tenant IS NULL
    FROM cachekit.view_edge e JOIN cachekit.view child ON child.name = e.child AND child.kind = 'materialized'
    CROSS JOIN jsonb_array_elements(changes) c
    CROSS JOIN LATERAL (SELECT CASE WHEN child.tenant IS NOT NULL THEN c.value->>'tenant' END AS tenant) t
    WHERE e.parent = view_name;
    IF FOUND THEN
      ${wakeSql(wakeSubject)};
    END IF;
  END IF;
  RETURN jsonb_build_object('state', 'refreshed', 'mode', CASE WHEN whole THEN 'whole' ELSE 'partial' END,
    'freshAsOf', extract(epoch FROM transaction_timestamp()) * 1000, 'marks', load.marks, 'groups', touched,
    'changes', changes);
END`;
