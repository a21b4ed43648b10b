import { countFailureSql, countFailureTriggerSql } from './run-record.ts';

/**
 * Tables of this package in schema `cachekit`; every statement can be repeated.
 *
 * - `view`: one row per applied view; its row lock is the lock of a refresh, which counts there what was done. What is missing of an
 *   older version is added together with the trigger.
 * - `view_edge`: which materialized view is computed from which.
 * - `view_source`: which tables mark which view, by which of their columns, and which parts they had when somebody looked.
 * - `mark`: one row per changed tenant or key, view and statement. Each rollup has a child of it with typed keys.
 *   Writers only append, so it has no key and no index,
 *   and no writer ever waits for another because of it. The early vacuum keeps it short.
 * - `installed`: which version of what stands here is installed, and the oldest version whose workers go on with it.
 */
export const stateTablesSql: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS cachekit.view (
  name text PRIMARY KEY,
  schema text NOT NULL,
  kind text NOT NULL,
  tenant text,
  refresh text NOT NULL,
  definition text NOT NULL,
  server_version integer NOT NULL,
  indexes jsonb NOT NULL DEFAULT '{}',
  fresh_as_of timestamptz,
  last_run_ms double precision,
  failures integer NOT NULL DEFAULT 0,
  last_error text,
  failed_at timestamptz,
  rollup jsonb,
  expired_on date,
  scheduled_for timestamptz,
  paused text,
  tree text,
  refreshes bigint NOT NULL DEFAULT 0,
  refresh_ms double precision NOT NULL DEFAULT 0,
  changed_groups bigint NOT NULL DEFAULT 0,
  failed_refreshes bigint NOT NULL DEFAULT 0,
  history jsonb NOT NULL DEFAULT '[]'
)`,
  countFailureSql,
  `DO $do$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'cachekit.view'::regclass AND tgname = 'count_failure') THEN
    ALTER TABLE cachekit.view ADD COLUMN IF NOT EXISTS rollup jsonb, ADD COLUMN IF NOT EXISTS expired_on date,
      ADD COLUMN IF NOT EXISTS scheduled_for timestamptz, ADD COLUMN IF NOT EXISTS paused text,
      ADD COLUMN IF NOT EXISTS tree text, ADD COLUMN IF NOT EXISTS refreshes bigint NOT NULL DEFAULT 0,
      ADD COLUMN IF NOT EXISTS refresh_ms double precision NOT NULL DEFAULT 0,
      ADD COLUMN IF NOT EXISTS changed_groups bigint NOT NULL DEFAULT 0,
      ADD COLUMN IF NOT EXISTS failed_refreshes bigint NOT NULL DEFAULT 0,
      ADD COLUMN IF NOT EXISTS history jsonb NOT NULL DEFAULT '[]';
    ${countFailureTriggerSql};
  END IF;
END $do$`,
  `CREATE TABLE IF NOT EXISTS cachekit.view_edge (
  parent text NOT NULL REFERENCES cachekit.view ON DELETE CASCADE,
  child text NOT NULL REFERENCES cachekit.view ON DELETE CASCADE,
  PRIMARY KEY (parent, child)
)`,
  `CREATE TABLE IF NOT EXISTS cachekit.view_source (
  view text NOT NULL REFERENCES cachekit.view ON DELETE CASCADE,
  source text NOT NULL,
  tenant text,
  key jsonb NOT NULL,
  columns text[] NOT NULL,
  parts oid[],
  PRIMARY KEY (view, source)
)`,
  `DO $do$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'cachekit.view_source'::regclass AND attname = 'parts') THEN
    ALTER TABLE cachekit.view_source ADD COLUMN parts oid[];
  END IF;
END $do$`,
  `CREATE TABLE IF NOT EXISTS cachekit.mark (
  view text NOT NULL,
  source text NOT NULL,
  tenant text,
  key jsonb,
  everything boolean NOT NULL DEFAULT false,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
  `CREATE TABLE IF NOT EXISTS cachekit.installed (
  part text PRIMARY KEY,
  version integer NOT NULL,
  oldest integer NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
)`,
];
