import { assertKnownOptions } from '@cachekit/core';
import { type KyselyLike, kyselyExecutor } from '@cachekit/core/postgres';
import { type ApplyOptions, createViews, type LockOptions } from '../catalog.ts';
import { withSettingsKept } from '../migrate/session.ts';
import type { ViewDefinition } from '../view.ts';

/** Options of {@link kyselyMigration}. */
export interface KyselyMigrationOptions {
  /** In any order. */
  readonly views: readonly ViewDefinition[];
  /** @defaultValue `public` */
  readonly schema?: string;
  /** How long it waits for locks of others; what it has got is kept until the migration ends. */
  readonly lock?: LockOptions;
  /** What it does with views that were changed by hand, or are defined no more. */
  readonly apply?: ApplyOptions;
}

/** A migration as Kysely knows it. */
export interface KyselyMigrationLike {
  // Kysely gives the instance of the user's database, or a transaction over it.
  // biome-ignore lint/suspicious/noExplicitAny: structural type of another library
  up(db: any): Promise<void>;
}

/**
 * A migration that brings the views to their definitions, in the transaction of the migration.
 *
 * For a file among the others, after the tables it needs. Kysely runs it once, so each change of a definition comes with a new
 * file; on a new database the first of them applies the definitions as they are now, and the others find nothing to do. There is
 * no way down: Kysely passes over it then.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option.
 * @example
 * export const { up } = kyselyMigration({ views: [callsPerDay] });
 */
export function kyselyMigration(options: KyselyMigrationOptions): KyselyMigrationLike {
  assertKnownOptions('kyselyMigration', options, ['views', 'schema', 'lock', 'apply']);
  return {
    async up(db: KyselyLike) {
      const { views, schema = 'public', lock = {}, apply } = options;
      const sql = kyselyExecutor(db);
      const catalog = createViews({ sql, views, schema, lock });
      if (db.isTransaction === true) await withSettingsKept(sql, () => catalog.apply(apply));
      else await catalog.apply(apply);
    },
  };
}
