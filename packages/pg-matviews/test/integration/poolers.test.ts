import { createListener, pgExecutor } from '@cachekit/core/postgres';
import { startPgBouncer } from '@cachekit/services';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { count, createRefresher, createViews, defineRollup, defineView } from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(
  'create table calls (id int generated always as identity primary key, user_id int not null)',
);
const perUser = defineRollup({
  name: 'per_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  measures: { total: count().as('integer') },
});
const native = defineView({
  name: 'native',
  kind: 'materialized',
  query: 'select user_id, count(*)::int as total from calls group by user_id',
  indexes: [{ columns: ['user_id'], unique: true }],
  sources: { calls: {} },
});
const views = [perUser, native];
const armed = (): Promise<boolean> =>
  database.one('select coalesce(bool_or(armed), false) from cachekit.wake');
const wrong = (view: string): Promise<number> =>
  database.one(`select count(*)::int from ((select user_id, count(*)::int from calls group by 1 except select user_id, total from ${view})
    union all (select user_id, total from ${view} except select user_id, count(*)::int from calls group by 1)) d`);

beforeAll(async () => {
  await createViews({ sql: database.sql, views }).apply();
});

describe('a listener that hears nothing of the database', () => {
  it('is told as an error, never asks writers for a NOTIFY, and changes are seen by looking', async () => {
    const elsewhere = createListener({
      connect: () => new pg.Client({ connectionString: inject('postgresUrl') }),
    });
    const keeper = createRefresher({ sql: database.sql, listener: elsewhere, views, debounce: 10 });
    const errors: unknown[] = [];
    keeper.on('error', ({ error }) => errors.push(error));
    await keeper.start();
    await vi.waitFor(
      () => expect(errors).toEqual([expect.objectContaining({ code: 'INVALID_CONFIGURATION' })]),
      20_000,
    );
    await database.pool.query('insert into calls (user_id) values (1)');
    await vi.waitFor(async () => expect(await wrong('per_user')).toBe(0), 20_000);
    expect(await armed()).toBe(false);
    await keeper.stop();
    await elsewhere.close();
  });

  it('is not what one of the same database is taken for', async () => {
    const listener = createListener({ connect: () => new pg.Client({ connectionString: database.url }) });
    const keeper = createRefresher({ sql: database.sql, listener, views, debounce: 10 });
    const errors: unknown[] = [];
    keeper.on('error', ({ error }) => errors.push(error));
    await keeper.start();
    await vi.waitFor(async () => expect(await armed()).toBe(true), 20_000);
    expect(errors).toEqual([]);
    await keeper.stop();
    await listener.close();
  });
});

// It comes as a package of the distribution, which has to be downloaded; a machine that has neither is told so.
if (process.env.CACHEKIT_LONG) {
  describe('PgBouncer in transaction mode', () => {
    let bouncer: Awaited<ReturnType<typeof startPgBouncer>>;
    let pool: pg.Pool;
    beforeAll(async () => {
      bouncer = await startPgBouncer(inject('postgresUrl'));
      pool = new pg.Pool({ connectionString: bouncer.url(database.url), max: 20 });
      pool.on('error', () => undefined);
    }, 180_000);
    afterAll(async () => {
      await pool?.end();
      await bouncer?.stop();
    });

    it('carries apply, marks, refreshes by several workers, cancellation and waits', {
      timeout: 120_000,
    }, async () => {
      const sql = pgExecutor(pool);
      await createViews({ sql, views }).apply();
      const keepers = [1, 2, 3].map(() => createRefresher({ sql, views, debounce: 5, maxWait: 50 }));
      const failures: unknown[] = [];
      for (const keeper of keepers) {
        keeper.on('failed', ({ error }) => failures.push(error));
        keeper.on('error', ({ error }) => failures.push(error));
      }
      await Promise.all(keepers.map((keeper) => keeper.start()));
      await Promise.all(
        Array.from({ length: 12 }, async (_, w) => {
          for (let i = 0; i < 20; i++)
            await pool.query('insert into calls (user_id) values ($1)', [(w + i) % 9]);
        }),
      );
      await Promise.all(keepers.map((keeper) => keeper.waitFresh('per_user')));
      await keepers[0]?.waitFresh('native');
      expect(await wrong('per_user')).toBe(0);
      expect(await wrong('native')).toBe(0);
      const controller = new AbortController();
      const call = keepers[0]?.refresh('native', { signal: controller.signal });
      controller.abort();
      await expect(call).rejects.toMatchObject({ name: 'AbortError' });
      await keepers[0]?.refresh('native');
      expect(failures).toEqual([]);
      // Nothing of a session is left behind in the connections that are shared.
      expect(
        await database.one(`select count(*)::int from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`),
      ).toBe(0);
      const { rows } = await pool.query(
        `select current_setting('search_path') as path, current_setting('statement_timeout') as timeout`,
      );
      expect(rows[0]).toEqual({ path: '"$user", public', timeout: '0' });
      await Promise.all(keepers.map((keeper) => keeper.stop()));
    });

    it('swallows LISTEN, which the refresher notices', { timeout: 60_000 }, async () => {
      const listener = createListener({
        connect: () => new pg.Client({ connectionString: bouncer.url(database.url) }),
      });
      const keeper = createRefresher({ sql: pgExecutor(pool), listener, views });
      const errors: unknown[] = [];
      keeper.on('error', ({ error }) => errors.push(error));
      await keeper.start();
      await vi.waitFor(
        () => expect(errors).toEqual([expect.objectContaining({ code: 'INVALID_CONFIGURATION' })]),
        20_000,
      );
      await keeper.stop();
      await listener.close();
      // With a direct connection beside it all is well.
      const direct = createListener({ connect: () => new pg.Client({ connectionString: database.url }) });
      const again = createRefresher({ sql: pgExecutor(pool), listener: direct, views });
      await again.start();
      await vi.waitFor(async () => expect(await armed()).toBe(true), 20_000);
      await again.stop();
      await direct.close();
    });
  });
}
