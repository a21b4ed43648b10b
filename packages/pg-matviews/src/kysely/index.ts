export { type KyselyMigrationLike, type KyselyMigrationOptions, kyselyMigration } from './migration.ts';
export {
  type KyselyMigrationProviderLike,
  type KyselyMigrationsOptions,
  kyselyMigrations,
  viewMigrationTable,
} from './migrations.ts';
