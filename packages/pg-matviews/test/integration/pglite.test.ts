import { pgliteExecutor } from '@cachekit/core/postgres';
import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  count,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  refreshSource,
  uninstallViews,
} from '../../src/index.ts';

const perUser = defineRollup({
  name: 'per_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  measures: { total: count().as('integer') },
  tenant: 'user_id',
});
const native = defineView({
  name: 'native',
  kind: 'materialized',
  query: 'select user_id, count(*)::int as total from calls group by user_id',
  indexes: [{ columns: ['user_id'], unique: true }],
  tenant: 'user_id',
  sources: { calls: { tenant: 'user_id' } },
});
const views = [perUser, native];

let db: PGlite;
beforeAll(async () => {
  db = await PGlite.create();
  await db.exec(
    'create table calls (id int primary key, user_id int); insert into calls select g, g % 3 from generate_series(1, 30) g',
  );
}, 120_000);
afterAll(() => db.close());

describe('PGlite', () => {
  it('applies, marks, refreshes by itself, tells what changed, and is left as it was', async () => {
    const sql = pgliteExecutor(db);
    await createViews({ sql, views }).apply();
    const keeper = createRefresher({ sql, views, debounce: 10 });
    const told: string[] = [];
    keeper.on('refreshed', ({ view, changes }) =>
      told.push(`${view} ${changes.map(({ tenant }) => tenant)}`),
    );
    await keeper.waitFresh('per_user');
    await keeper.waitFresh('native');
    told.length = 0;
    await keeper.start();
    await db.query('insert into calls values (100, 7)');
    await vi.waitFor(() => expect(told.sort()).toEqual(['native 7', 'per_user 7']), 20_000);
    for (const view of ['per_user', 'per_user_live', 'native']) {
      expect((await db.query(`select user_id, total from ${view} where user_id = 7`)).rows).toEqual([
        { user_id: 7, total: 1 },
      ]);
    }
    expect(await keeper.reconcile('per_user')).toEqual({ view: 'per_user', groups: 4, healed: 0 });
    expect(await keeper.status()).toMatchObject([{ marks: 0 }, { marks: 0 }]);
    await keeper.stop();
    expect([...(await uninstallViews({ sql }))].sort()).toEqual(['native', 'per_user']);
    expect((await db.query(`select from pg_namespace where nspname = 'cachekit'`)).rows).toEqual([]);
  }, 60_000);

  it('keeps what a failed statement undid: a transaction that swallowed an error is none', async () => {
    const sql = pgliteExecutor(db);
    await expect(
      sql.transaction(async (transaction) => {
        await transaction.query('insert into calls values (200, 1)');
        await transaction.query('select nothing').catch(() => undefined);
      }),
    ).rejects.toThrow('nothing');
    await sql.transaction(async (transaction) => {
      await transaction.query('insert into calls values (201, 1)');
      await transaction
        .transaction(async (savepoint) => savepoint.query('select nothing'))
        .catch(() => undefined);
    });
    expect((await sql.query<{ id: number }>('select id from calls where id >= 200')).rows).toEqual([
      { id: 201 },
    ]);
  });

  it('is refused where it could not keep the promise', () => {
    const sql = pgliteExecutor(db);
    const refused = expect.objectContaining({ code: 'INVALID_CONFIGURATION' });
    const thrown = (run: () => unknown): unknown => {
      try {
        return run();
      } catch (error) {
        return error;
      }
    };
    expect(thrown(() => createRefresher({ sql, views, timeout: { run: '1s' } }))).toEqual(refused);
    expect(thrown(() => refreshSource({ sql }))).toEqual(refused);
    expect(thrown(() => pgliteExecutor({} as PGlite))).toEqual(refused);
  });
});
