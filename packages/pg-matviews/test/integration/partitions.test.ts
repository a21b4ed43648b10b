import { FakeClock } from '@cachekit/core/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  count,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  type Refresher,
  type ViewDefinition,
} from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(`
  create table calls (id int not null, user_id int not null) partition by range (id);
  create table calls_low partition of calls for values from (0) to (100);
  create table calls_high partition of calls for values from (100) to (200) partition by range (id);
  create table calls_high_a partition of calls_high for values from (100) to (150);
  create table calls_high_b partition of calls_high for values from (150) to (200);
  create table notes (id int, user_id int not null);
  create table long_notes (body text) inherits (notes);
`);
const rollup = (name: string, from: string): ViewDefinition =>
  defineRollup({ name, from, key: { user_id: 'user_id' }, measures: { total: count().as('integer') } });
const perUser = rollup('per_user', 'calls');
const perNote = rollup('per_note', 'notes');
const views = (): ReturnType<typeof createViews> =>
  createViews({ sql: database.sql, views: [perUser, perNote] });

const fresh = async (): Promise<void> => {
  const keeper = createRefresher({ sql: database.sql, views: [perUser, perNote] });
  await keeper.waitFresh('per_user');
  await keeper.waitFresh('per_note');
};
const shown = (view: string): Promise<{ user_id: number; total: number }[]> =>
  database.rows(`select user_id, total from ${view} order by 1`);
const raw = (table: string): Promise<{ user_id: number; total: number }[]> =>
  database.rows(`select user_id, count(*)::int as total from ${table} group by 1 order by 1`);
/** What was written is marked: the rollup is right after a refresh of what is marked, and the exact view before. */
async function holds(): Promise<void> {
  expect(await shown('per_user_live')).toEqual(await raw('calls'));
  expect(await shown('per_note_live')).toEqual(await raw('notes'));
  await fresh();
  expect(await shown('per_user')).toEqual(await raw('calls'));
  expect(await shown('per_note')).toEqual(await raw('notes'));
}

beforeAll(async () => {
  await views().apply();
  await fresh();
});
beforeEach(async () => {
  await database.pool.query(
    `truncate calls; truncate notes; insert into calls select g, g % 7 from generate_series(0, 199) g`,
  );
  await fresh();
});
describe('a partitioned table', () => {
  it('marks what is written through it and to a part directly, also two levels down', async () => {
    await database.pool.query('insert into calls values (1, 50), (120, 51)');
    await database.pool.query('insert into calls_low values (2, 52)');
    await database.pool.query('update calls_high set user_id = 53 where id = 160');
    await database.pool.query('delete from calls_high_a where id = 110');
    await holds();
  });

  it('marks rows that move from one part to another', async () => {
    await database.pool.query('update calls set id = id + 100, user_id = 60 where id < 10');
    await database.pool.query('update calls_high set id = 199 where id = 101');
    await holds();
  });

  it('marks everything when one part is truncated', async () => {
    await database.pool.query('truncate calls_low');
    await holds();
    await database.pool.query('truncate calls_high');
    await holds();
  });

  it('is found wrong after a part was attached or taken away, and apply() mends it', async () => {
    await database.pool.query(`create table calls_new (id int not null, user_id int not null);
      insert into calls_new select g, 70 from generate_series(200, 210) g;
      alter table calls attach partition calls_new for values from (200) to (300)`);
    expect(await views().check()).toContainEqual({
      view: 'per_user',
      what: 'trigger',
      object: 'public.calls',
    });
    expect(await views().plan()).toContainEqual(
      expect.objectContaining({ view: 'per_user', action: 'alter', reason: 'triggers' }),
    );
    await views().apply();
    expect(await views().plan()).toContainEqual(
      expect.objectContaining({ view: 'per_user', action: 'unchanged' }),
    );
    expect(await views().check()).toEqual([]);
    await holds();
    await database.pool.query('insert into calls_new values (250, 71)');
    await holds();

    await database.pool.query('alter table calls detach partition calls_new');
    expect(await views().check()).toContainEqual({
      view: 'per_user',
      what: 'trigger',
      object: 'public.calls',
    });
    await views().apply();
    expect(await views().check()).toEqual([]);
    await holds();
    await database.pool.query('insert into calls_new values (251, 72)');
    expect(await database.one(`select count(*)::int from cachekit.mark`)).toBe(0);
    await database.pool.query('drop table calls_new');
  });

  describe('while a refresher runs', () => {
    const clock = new FakeClock(Date.now());
    const perUserStored = defineView({
      name: 'mv_per_user',
      kind: 'materialized',
      query: 'select user_id, count(*)::int as total from calls group by user_id',
      sources: { calls: {} },
    });
    const both = [perUser, perUserStored];
    const modes: string[] = [];
    const errors: unknown[] = [];
    let keeper: Refresher;
    /** What the views show is what the table holds, without anybody asking. */
    const soon = async (): Promise<void> => {
      for (const view of ['per_user', 'mv_per_user']) {
        await inTime(async () => same(await shown(view), await raw('calls')));
      }
      await inTime(() => database.one('select count(*) = 0 from cachekit.mark'));
    };
    /** As `soon`, and whoever listens was told: a refresh is seen from its commit on, and told once that was answered. */
    const told = async (): Promise<void> => {
      await soon();
      await Promise.all(['per_user', 'mv_per_user'].map((view) => keeper.waitFresh(view)));
    };
    const inTime = async (holds: () => Promise<boolean>): Promise<void> => {
      const minutes = setInterval(() => void clock.advance(5_000), 10);
      try {
        await expect.poll(holds).toBe(true);
      } finally {
        clearInterval(minutes);
      }
    };
    const noticed = (part: string): Promise<boolean> =>
      database.one(
        `select count(*) = 2 from cachekit.view_source where source = 'public.calls' and $1::regclass::oid = any (parts)`,
        [part],
      );
    const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
    beforeAll(async () => {
      await createViews({ sql: database.sql, views: both }).apply();
      keeper = createRefresher({ sql: database.sql, views: both, clock });
      keeper.on('refreshed', ({ view, mode }) => modes.push(`${view} ${mode}`));
      keeper.on('error', ({ error }) => errors.push(error));
    });
    afterAll(async () => {
      await keeper.stop();
      await createViews({ sql: database.sql, views: [perUser, perNote] }).apply({ prune: true });
      expect(errors).toEqual([]);
    });

    it('is computed as a whole when a part with rows was attached before it began', async () => {
      await database.pool.query(`create table calls_new (id int not null, user_id int not null);
        insert into calls_new select g, 70 from generate_series(200, 210) g;
        alter table calls attach partition calls_new for values from (200) to (300)`);
      await keeper.start();
      await soon();
      expect(await shown('per_user')).toContainEqual({ user_id: 70, total: 11 });
    });

    it('is computed as a whole when a part was detached, attached again, detached concurrently, or dropped', async () => {
      await database.pool.query('insert into calls select g, 71 from generate_series(200, 210) g');
      await soon();
      for (const change of [
        'alter table calls detach partition calls_new',
        'alter table calls attach partition calls_new for values from (200) to (300)',
        'alter table calls detach partition calls_new concurrently',
        'alter table calls attach partition calls_new for values from (200) to (300)',
        'drop table calls_new',
      ]) {
        await database.pool.query(change);
        await soon();
      }
    });

    it('is computed as a whole when a part two levels down comes and goes', async () => {
      await database.pool.query('alter table calls_high detach partition calls_high_b');
      await soon();
      await database.pool.query('insert into calls_high_b values (151, 90)');
      await database.pool.query(
        'alter table calls_high attach partition calls_high_b for values from (150) to (200)',
      );
      await soon();
      expect(await shown('per_user')).toContainEqual({ user_id: 90, total: 1 });
    });

    it('is computed by the group when an empty part is created, and its first rows come', async () => {
      await told();
      modes.length = 0;
      await database.pool.query('create table calls_next partition of calls for values from (300) to (400)');
      await inTime(() => noticed('calls_next'));
      expect(modes).toEqual([]);
      await database.pool.query('insert into calls values (300, 4), (301, 4)');
      await told();
      expect([...modes].sort()).toEqual(['mv_per_user plain', 'per_user partial']);
      await database.pool.query('drop table calls_next');
      await soon();
    });
  });

  it('with a foreign part is refused, because a write that reached it would fail', async () => {
    await database.pool.query(`create extension if not exists file_fdw;
      create server files foreign data wrapper file_fdw;
      create table mixed (id int, user_id int) partition by list (id);
      create foreign table mixed_far partition of mixed for values in (1) server files options (filename '/nowhere', format 'csv')`);
    await expect(
      createViews({ sql: database.sql, schema: 'aside', views: [rollup('mixed_per_user', 'mixed')] }).apply(),
    ).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining('foreign') });
    await database.pool.query('drop table mixed; drop server files; drop extension file_fdw');
  });
});

describe('a table that others inherit from', () => {
  it('is marked by what is written to them', async () => {
    await database.pool.query(
      `insert into notes values (1, 1); insert into long_notes values (2, 1, 'long'), (3, 2, 'long')`,
    );
    await holds();
    await database.pool.query(`update long_notes set user_id = 4; delete from only notes`);
    await holds();
  });
});
