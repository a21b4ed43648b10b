import { ConfigurationError } from '../errors.ts';
import type { SqlExecutor } from '../ports/sql.ts';

/** First release with everything that is used (CREATE OR REPLACE TRIGGER; xid8 came with 13). */
const minimumVersion = 140_000;

/**
 * Takes the lock under which all DDL of CacheKit runs, for the rest of the transaction.
 *
 * The second statement is not idle: waiting for an advisory lock does not make a session see what was created
 * meanwhile (`create ... if not exists` would then fail on a name it believes to be free), opening a table does.
 *
 * @throws The driver's error, unchanged.
 */
export async function lockMigrations(transaction: SqlExecutor): Promise<void> {
  // Any number, as long as every process takes the same.
  await transaction.query('select pg_advisory_xact_lock(7236421088530177)');
  await transaction.query('select from pg_namespace limit 1');
}

/**
 * Creates the schema `cachekit` with what every consumer needs: the cursors and the wake flags.
 *
 * Idempotent: where everything is there it only reads, so a role without the right to create may call it too. Safe in
 * several processes at once: an advisory lock of the transaction lets one through at a time. Nobody but its owner gets
 * a right on the schema; writers reach it through SECURITY DEFINER triggers.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the server is older than PostgreSQL 14.
 * @throws The driver's error, unchanged, such as 42501 when the role may not create a schema.
 */
export async function installCoreSchema(sql: SqlExecutor): Promise<void> {
  const { rows } = await sql.query<{ version: string; installed: boolean }>(
    `select current_setting('server_version_num') as version,
            to_regclass('cachekit.cursor') is not null and to_regclass('cachekit.wake') is not null
              and to_regprocedure('cachekit.database_identity()') is not null as installed`,
  );
  if (Number(rows[0]?.version) < minimumVersion) {
    throw new ConfigurationError(
      `CacheKit needs PostgreSQL 14 or later; the server says ${rows[0]?.version}`,
    );
  }
  if (rows[0]?.installed === true) return;
  await sql.transaction(async (transaction) => {
    await lockMigrations(transaction);
    for (const statement of statements) await transaction.query(statement);
  });
}

/**
 * `database_identity()` differs after everything that makes a cursor meaningless: another cluster, another database,
 * or another timeline, which begins with every failover and every recovery to a point in time (both may lose
 * transactions that were delivered). Where the server does not tell (some hosted ones), the database's OID is left.
 */
const statements = [
  'create schema if not exists cachekit',
  `create table if not exists cachekit.cursor (
     name text primary key,
     outbox text not null,
     snapshot pg_snapshot not null,
     target pg_snapshot,
     after bigint,
     identity text not null,
     gap text,
     delivered bigint not null default 0,
     moved_at timestamptz not null default clock_timestamp()
   ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
  `create unlogged table if not exists cachekit.wake (
     name text primary key,
     subject text not null,
     armed boolean not null
   ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
  `do $install$
   begin
     create or replace function cachekit.database_identity() returns text
       language sql stable security definer set search_path = pg_catalog, pg_temp
       as $$ select concat_ws('/', (select system_identifier from pg_control_system()),
               left(pg_walfile_name(pg_current_wal_lsn()), 8),
               (select oid from pg_database where datname = current_database())) $$;
     perform cachekit.database_identity();
   exception when others then
     create or replace function cachekit.database_identity() returns text
       language sql stable security definer set search_path = pg_catalog, pg_temp
       as $$ select oid::text from pg_database where datname = current_database() $$;
   end $install$`,
];
