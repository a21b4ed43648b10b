import { assertKnownOptions } from '@cachekit/core';
import { type KyselyLike, kyselyExecutor, quoteIdentifier } from '@cachekit/core/postgres';
import { fnv1a } from '../identifier.ts';
import { packageVersion } from '../migrate/installed.ts';
import { type KyselyMigrationLike, type KyselyMigrationOptions, kyselyMigration } from './migration.ts';

/** What to give Kysely's `Migrator` as `migrationTableName`. */
export const viewMigrationTable = 'cachekit_views_migration';

/** Options of {@link kyselyMigrations}. */
export interface KyselyMigrationsOptions extends KyselyMigrationOptions {
  /** The instance whose `Migrator` runs them. */
  readonly db: KyselyLike;
}

/** A source of migrations as Kysely knows it. */
export interface KyselyMigrationProviderLike {
  getMigrations(): Promise<Record<string, KyselyMigrationLike>>;
}

/**
 * Migrations for a `Migrator` of its own that runs after yours: one for each change of the definitions, which it finds by itself.
 *
 * A migration is named by its number and a digest of the definitions. Those that ran are remembered in `viewMigrationTable`, in the
 * schema where the search path puts new tables. While the last of them is of the present definitions there is nothing to do.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, or if `db` is no Kysely instance.
 * @example
 * const migrator = new Migrator({
 *   db,
 *   provider: kyselyMigrations({ db, views: [callsPerDay] }),
 *   migrationTableName: viewMigrationTable,
 *   migrationLockTableName: `${viewMigrationTable}_lock`,
 * });
 * const { error } = await migrator.migrateToLatest();
 */
export function kyselyMigrations(options: KyselyMigrationsOptions): KyselyMigrationProviderLike {
  assertKnownOptions('kyselyMigrations', options, ['db', 'views', 'schema', 'lock', 'apply']);
  const { db, ...rest } = options;
  const sql = kyselyExecutor(db);
  const migration = kyselyMigration(rest);
  const digest = digestOf(rest);
  return {
    async getMigrations() {
      const ran = await sql.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
        quoteIdentifier(viewMigrationTable),
      ]);
      const { rows } =
        ran.rows[0]?.there === true
          ? await sql.query<{ name: string }>(
              `SELECT name FROM ${quoteIdentifier(viewMigrationTable)} ORDER BY name`,
            )
          : { rows: [] };
      const migrations: Record<string, KyselyMigrationLike> = {};
      for (const { name } of rows) migrations[name] = migration;
      if (rows.at(-1)?.name.endsWith(digest) !== true) {
        migrations[`${String(rows.length + 1).padStart(6, '0')}_${digest}`] = migration;
      }
      return migrations;
    },
  };
}

/** The same for the same definitions in any order, and another one for another version of what is made of them. */
function digestOf({ views, schema, apply }: KyselyMigrationOptions): string {
  const sorted = [...views].sort((a, b) => (a.name < b.name ? -1 : 1));
  const text = JSON.stringify([packageVersion.version, schema, apply, sorted]);
  return fnv1a(text) + fnv1a(`${text.length}${text}`);
}
