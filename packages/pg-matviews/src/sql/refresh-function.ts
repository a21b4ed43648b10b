import { quoteLiteral, wakeSql } from '@cachekit/core/postgres';
import { markGroupsBody } from './mark-groups.ts';
import { wakeSubject } from './mark-trigger.ts';
import { copyNoticeRightsSql, noticePartsBody } from './notice-parts.ts';
import { refreshedSql } from './run-record.ts';

/** Above this share of dirty groups all of them are computed: one pass costs less than so many look-ups. */
export const wholeShare = 0.2;
/** Below so many dirty groups the share does not matter. */
const fewGroups = 100;
/** Above so many keys the refresh of a materialized view tells the tenants instead, and above so many tenants "everything". */
const mostKeys = 1_000;
const mostTenants = 10_000;

/** Class and codes of the errors that the functions raise themselves. */
export const refreshErrors = { unindexed: 'CK001', gone: 'CK002' } as const;

/** Functions that refresh, with their arguments, as GRANT and DROP name them. */
export const refreshFunctions: readonly string[] = [
  'cachekit.refresh(text, boolean, numeric, boolean)',
  'cachekit.refresh_materialized(text, boolean, numeric)',
  'cachekit.refresh_rollup(text, boolean, numeric)',
  'cachekit.reconcile_rollup(text)',
  'cachekit.mark_groups(text, jsonb)',
  'cachekit.notice_parts(text[])',
];

/**
 * What a view holds and what is told of its keys does not depend on who refreshes it; the values are those under which it is
 * applied. `row_security = off` turns a refresh that would silently see some rows only into an error; with
 * `quote_all_identifiers` PostgreSQL itself fails to refresh CONCURRENTLY.
 */
const settingsSql = `SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET bytea_output = 'hex' SET extra_float_digits = 1 SET quote_all_identifiers = off SET row_security = off`;

/**
 * `cachekit.refresh(view, forced, since, paused_too)`: one refresh in the caller's READ COMMITTED transaction, if nobody
 * else runs one. Any tool that runs SQL can call it. It has the rights of the role that applied the views, so that whoever may
 * call it needs none on their tables; nobody may until somebody grants it.
 *
 * The row of the view is locked in a statement of its own, so the snapshot of the statement that computes is taken under
 * the lock: of two refreshers the later never stores an older state. For a rollup that one statement deletes exactly the
 * marks it sees and computes from the same snapshot, so a change it does not see keeps its mark; what is decided before
 * (few groups or all) is a matter of cost only. For a materialized view the marks that are removed were visible before
 * the snapshot of REFRESH, so what they stand for is in it; what commits in between is in it as well and stays marked,
 * which costs one refresh too many and loses nothing.
 */
export function refreshFunctionsSql(outbox: string): string[] {
  const functions: readonly (readonly [string, string, string])[] = [
    [
      'refresh_materialized(view_name text, forced boolean DEFAULT false, since numeric DEFAULT NULL)',
      'jsonb',
      materializedBody(outbox),
    ],
    [
      'refresh_rollup(view_name text, forced boolean DEFAULT false, since numeric DEFAULT NULL)',
      'jsonb',
      rollupBody(outbox),
    ],
    ['reconcile_rollup(view_name text)', 'jsonb', reconcileBody],
    ['mark_groups(view_name text, wanted jsonb)', 'bigint', markGroupsBody],
    ['notice_parts(views text[])', 'void', noticePartsBody],
    [
      'refresh(view_name text, forced boolean DEFAULT false, since numeric DEFAULT NULL, paused_too boolean DEFAULT false)',
      'jsonb',
      dispatchBody,
    ],
  ];
  return [
    ...functions.map(
      ([signature, returns, body]) => `CREATE OR REPLACE FUNCTION cachekit.${signature}
RETURNS ${returns} LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp ${settingsSql} AS ${quoteLiteral(body).trim()}`,
    ),
    `REVOKE ALL ON FUNCTION ${refreshFunctions.join(', ')} FROM PUBLIC`,
    copyNoticeRightsSql,
  ];
}

const dispatchBody = `
DECLARE
  v record;
BEGIN
  SELECT kind, paused, failures, last_error INTO v FROM cachekit.view WHERE name = view_name;
  IF v.paused IS NOT NULL AND NOT paused_too AND (forced OR EXISTS (SELECT FROM cachekit.mark m WHERE m.view = view_name)) THEN
    RETURN jsonb_build_object('state', 'paused', 'failures', v.failures, 'lastError', v.last_error);
  END IF;
  RETURN CASE v.kind WHEN 'rollup' THEN cachekit.refresh_rollup(view_name, forced, since)
    ELSE cachekit.refresh_materialized(view_name, forced, since) END;
END`;

const lockSql = (kind: string): string => `
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'A view is refreshed in a READ COMMITTED transaction' USING ERRCODE = 'active_sql_transaction';
  END IF;
  SELECT * INTO v FROM cachekit.view WHERE name = view_name AND kind = '${kind}' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('state', 'busy');
  END IF;`;

/**
 * Tells the views above what changed; their tenants are the same where both know one. A plain view that says which column
 * is the tenant is told of as well, so that what is cached of it goes with the view it reads.
 */
const tellAboveSql = (outbox: string): string => `
    INSERT INTO cachekit.${outbox} (tenant, source, operation, key)
    SELECT DISTINCT CASE WHEN v.tenant IS NOT NULL THEN c.value->>'tenant' END, child.name, 'refresh', '{}'::jsonb
    FROM cachekit.view_edge e JOIN cachekit.view child ON child.name = e.child AND child.kind = 'view' AND child.tenant IS NOT NULL
    CROSS JOIN jsonb_array_elements(changes) c
    WHERE e.parent = view_name;
    ${wakeSql(outbox)};
    INSERT INTO cachekit.mark (view, source, tenant, everything)
    SELECT DISTINCT child.name, view_name, t.tenant, t.tenant IS NULL
    FROM cachekit.view_edge e JOIN cachekit.view child ON child.name = e.child AND child.kind = 'materialized'
    CROSS JOIN jsonb_array_elements(changes) c
    CROSS JOIN LATERAL (SELECT CASE WHEN child.tenant IS NOT NULL AND v.tenant IS NOT NULL THEN c.value->>'tenant' END AS tenant) t
    WHERE e.parent = view_name;
    IF FOUND THEN
      ${wakeSql(wakeSubject)};
    END IF;`;

const materializedBody = (outbox: string): string => `
DECLARE
  v record;
  target record;
  marks bigint;
  changes jsonb;
  beside boolean;
  took double precision;
BEGIN${lockSql('materialized')}
  PERFORM set_config('search_path', CASE WHEN v.schema = 'public' THEN 'public, pg_temp' ELSE format('%I, public, pg_temp', v.schema) END, true);
  SELECT c.relispopulated AS populated, EXISTS (
      SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate
        AND x.indpred IS NULL AND x.indexprs IS NULL) AS indexed
  INTO target
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = v.schema AND c.relname = view_name AND c.relkind = 'm';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Materialized view "%" is gone from the database', view_name USING ERRCODE = '${refreshErrors.gone}';
  END IF;
  WITH taken AS (
    DELETE FROM ONLY cachekit.mark m WHERE m.view = view_name RETURNING m.tenant, coalesce(m.key, '{}'::jsonb) AS key, m.everything
  ), changed AS (
    SELECT DISTINCT t.tenant, t.key FROM taken t WHERE NOT t.everything
  ), narrowed AS (
    SELECT c.tenant, c.key FROM changed c
    WHERE c.key = '{}'::jsonb OR NOT EXISTS (
      SELECT FROM changed w WHERE w.tenant IS NOT DISTINCT FROM c.tenant AND w.key = '{}'::jsonb)
  ), tenants AS (
    SELECT DISTINCT n.tenant FROM narrowed n
  )
  SELECT (SELECT count(*) FROM taken),
    CASE
      WHEN (SELECT bool_or(t.everything OR (t.tenant IS NULL AND t.key = '{}'::jsonb)) FROM taken t)
        OR (SELECT count(*) FROM tenants) > ${mostTenants} THEN '[{"key": {}}]'::jsonb
      WHEN (SELECT count(*) FROM narrowed) > ${mostKeys}
        THEN (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('tenant', t.tenant)) || '{"key": {}}'::jsonb ORDER BY t.tenant) FROM tenants t)
      ELSE (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('tenant', n.tenant)) || jsonb_build_object('key', n.key) ORDER BY n.tenant, n.key)
            FROM narrowed n)
    END
  INTO marks, changes;
  IF marks = 0 AND target.populated
    AND NOT (forced AND (since IS NULL OR v.fresh_as_of IS NULL OR extract(epoch FROM v.fresh_as_of) * 1000000 < since)) THEN
    RETURN jsonb_build_object('state', 'clean', 'freshAsOf', extract(epoch FROM v.fresh_as_of) * 1000);
  END IF;
  beside := target.populated AND v.refresh <> 'plain' AND target.indexed;
  IF target.populated AND v.refresh = 'concurrently' AND NOT beside THEN
    RAISE EXCEPTION 'Materialized view "%" has no unique index over plain columns and all rows', view_name
      USING ERRCODE = '${refreshErrors.unindexed}';
  END IF;
  EXECUTE format('REFRESH MATERIALIZED VIEW %s%I.%I', CASE WHEN beside THEN 'CONCURRENTLY ' ELSE '' END, v.schema, view_name);
  IF forced OR marks = 0 THEN
    changes := '[{"key": {}}]';
  END IF;
  INSERT INTO cachekit.${outbox} (tenant, source, operation, key)
  SELECT c.value->>'tenant', view_name, 'refresh', c.value->'key' FROM jsonb_array_elements(changes) c;${tellAboveSql(outbox)}${refreshedSql(`CASE WHEN beside THEN 'concurrently' ELSE 'plain' END`, 'marks')}
  WHERE name = view_name;
  RETURN jsonb_build_object('state', 'refreshed', 'mode', CASE WHEN beside THEN 'concurrently' ELSE 'plain' END,
    'freshAsOf', extract(epoch FROM transaction_timestamp()) * 1000, 'marks', marks, 'changes', changes);
END`;

const rollupBody = (outbox: string): string => `
DECLARE
  v record;
  load record;
  program jsonb;
  run text;
  step text;
  whole boolean;
  must boolean;
  touched bigint := 0;
  today date := (transaction_timestamp() AT TIME ZONE 'UTC')::date;
  took double precision;
  changes jsonb := '[]';
BEGIN${lockSql('rollup')}
  program := v.rollup->'program';
  run := program->>'run';
  -- The planner does not know how few rows the log has, and would compile for many.
  PERFORM set_config('search_path', program->>'searchPath', true), set_config('TimeZone', 'UTC', true),
    set_config('jit', 'off', true);
  EXECUTE coalesce('SELECT l[1] AS marks, l[2] AS dirty, l[3] > 0 AS parts, l[4] > 0 AS everything, l[5] AS groups FROM '
    || run || '(''load'') l', program->>'load') INTO load;
  must := forced AND (since IS NULL OR v.fresh_as_of IS NULL OR extract(epoch FROM v.fresh_as_of) * 1000000 < since);
  IF load.marks = 0 AND NOT must THEN
    RETURN jsonb_build_object('state', 'clean', 'freshAsOf', extract(epoch FROM v.fresh_as_of) * 1000);
  END IF;
  whole := must OR load.everything OR (load.dirty > ${fewGroups} AND load.dirty > load.groups * ${wholeShare});
  step := CASE WHEN whole THEN 'whole' WHEN load.parts THEN 'partial' ELSE 'exact' END;
  IF step = 'exact' AND run IS NOT NULL THEN
    EXECUTE 'SELECT (' || run || '(''exact''))[1]' INTO touched;
  ELSE
    EXECUTE program->>step;
    GET DIAGNOSTICS touched = ROW_COUNT;
  END IF;
  IF program->>'expire' <> '' AND v.expired_on IS DISTINCT FROM today THEN
    EXECUTE program->>'expire';
  END IF;${refreshedSql(`CASE WHEN whole THEN 'whole' ELSE 'partial' END`, 'load.marks', 'touched')}, expired_on = today
  WHERE name = view_name;
  IF touched > 0 THEN
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('tenant', c.tenant)) || jsonb_build_object('key', c.key) ORDER BY c.seq), '[]')
    INTO changes
    FROM cachekit.${outbox} c WHERE c.xid = pg_current_xact_id() AND c.source = view_name;${tellAboveSql(outbox)}
  END IF;
  RETURN jsonb_build_object('state', 'refreshed', 'mode', CASE WHEN whole THEN 'whole' ELSE 'partial' END,
    'freshAsOf', extract(epoch FROM transaction_timestamp()) * 1000, 'marks', load.marks, 'groups', touched,
    'changes', changes);
END`;

/** Compares all groups of a rollup in one snapshot and marks those that are wrong. */
const reconcileBody = `
DECLARE
  program jsonb := (SELECT v.rollup->'program' FROM cachekit.view v WHERE v.name = view_name AND v.kind = 'rollup');
  compared record;
BEGIN
  IF program IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('search_path', program->>'searchPath', true), set_config('TimeZone', 'UTC', true);
  EXECUTE program->>'reconcile' INTO compared;
  RETURN jsonb_build_object('groups', compared.groups::bigint, 'healed', compared.wrong::bigint);
END`;
