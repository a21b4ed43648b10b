import { Kysely, PostgresDialect, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { beforeAll, describe, expect, it } from 'vitest';
import { count, defineRollup, defineView, type ViewDefinition } from '../../src/index.ts';
import { kyselyMigration, kyselyMigrations, viewMigrationTable } from '../../src/kysely/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase();
let db: Kysely<unknown>;
beforeAll(() => {
  db = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: database.pool }),
  });
});

const perUser = defineRollup({
  name: 'per_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  measures: { total: count().as('integer') },
});
const plain = (query: string): ViewDefinition => defineView({ name: 'plain', kind: 'view', query });

/** The user's own migrations, with the views among them if told to. */
function tables(more: Record<string, Migration> = {}): Migrator {
  const migrations: Record<string, Migration> = {
    '2026-01-01': { up: (of) => sql`create table calls (id int, user_id int not null)`.execute(of).then() },
    ...more,
  };
  return new Migrator({ db, provider: { getMigrations: async () => migrations } });
}
function viewsMigrator(views: readonly ViewDefinition[]): Migrator {
  return new Migrator({
    db,
    provider: kyselyMigrations({ db, views }),
    migrationTableName: viewMigrationTable,
    migrationLockTableName: `${viewMigrationTable}_lock`,
  });
}
async function latest(migrator: Migrator): Promise<string[]> {
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
  return (results ?? []).map(({ migrationName, status }) => `${status} ${migrationName.slice(0, 6)}`);
}

describe('kyselyMigrations()', () => {
  it('gives the Migrator one migration for each change of the definitions, and none in between', async () => {
    await tables().migrateToLatest();
    const first = [perUser, plain('select user_id, total from per_user')];
    expect(await latest(viewsMigrator(first))).toEqual(['Success 000001']);
    expect(await latest(viewsMigrator([...first].reverse()))).toEqual([]);
    const second = [perUser, plain('select user_id, total * 2 as total from per_user')];
    expect(await latest(viewsMigrator(second))).toEqual(['Success 000002']);
    // Back to what was once is a change as well.
    expect(await latest(viewsMigrator(first))).toEqual(['Success 000003']);
    expect(await latest(viewsMigrator(first))).toEqual([]);
    await database.pool.query('insert into calls values (1, 7)');
    expect(await database.rows('select * from per_user_live')).toEqual([{ user_id: 7, total: 1 }]);
  });

  it('lets two deployments at once both succeed', async () => {
    const third = [perUser, plain('select user_id, total * 3 as total from per_user')];
    const ran = await Promise.all([latest(viewsMigrator(third)), latest(viewsMigrator(third))]);
    expect(ran.flat()).toEqual(['Success 000004']);
  });

  it('leaves nothing behind when one fails', async () => {
    const broken = [perUser, plain('select nothing from per_user')];
    await expect(latest(viewsMigrator(broken))).rejects.toMatchObject({ code: '42703' });
    expect(await database.one('select count(*)::int from per_user_live')).toBe(1);
    expect(await database.one(`select count(*)::int from ${viewMigrationTable}`)).toBe(4);
  });
});

describe('kyselyMigration()', () => {
  it('is a migration among others, in their transaction, and changes no setting for the next', async () => {
    const seen: string[] = [];
    const settings = `select current_setting('search_path') || ' ' || current_setting('lock_timeout') || ' ' || current_setting('TimeZone') as s`;
    const look: Migration = {
      async up(of) {
        const { rows } = await sql.raw<{ s: string }>(settings).execute(of);
        seen.push(rows[0]?.s ?? '');
      },
    };
    const more = defineView({ name: 'more', kind: 'view', query: 'select count(*) as n from calls' });
    const of = { '2026-02-01': look, '2026-02-02': kyselyMigration({ views: [more] }), '2026-02-03': look };
    const failing: Migration = { up: () => Promise.reject(new Error('not yet')) };
    await expect(latest(tables({ ...of, '2026-02-04': failing }))).rejects.toThrow('not yet');
    expect(await database.one(`select to_regclass('more')`)).toBeNull();
    expect(await latest(tables(of))).toHaveLength(3);
    expect(await database.one('select n::int from more')).toBe(1);
    expect(new Set(seen).size).toBe(1);
  });
});
