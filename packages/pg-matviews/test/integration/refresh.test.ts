import type { ChangeEvent, SqlExecutor } from '@cachekit/core';
import { createListener, kyselyExecutor, outboxSource } from '@cachekit/core/postgres';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  createRefresher,
  createViews,
  defineView,
  type RefreshedEvent,
  type Refresher,
  type RefresherOptions,
  refreshSource,
  type ViewDefinition,
} from '../../src/index.ts';
import { testDatabase } from './database.ts';

/** A gate in the queries: whoever holds advisory lock 42 keeps every refresh between its snapshot and its end. */
const database = testDatabase(`
  create table calls (id int generated always as identity primary key, user_id int, amount int not null default 1);
  create function gate() returns int language plpgsql volatile as
    $$ begin perform pg_advisory_xact_lock_shared(42); return 1; end $$;
`);

const gated = defineView({
  name: 'gated',
  kind: 'materialized',
  query: 'select user_id, count(*)::int as total from calls, (select gate()) g group by user_id',
  indexes: [{ columns: ['user_id'], unique: true }],
  tenant: 'user_id',
  sources: { calls: { tenant: 'user_id' } },
  refresh: 'concurrently',
});
const unindexed = defineView({
  name: 'unindexed',
  kind: 'materialized',
  query: 'select user_id, sum(amount)::int as amount from calls group by user_id',
  sources: { calls: {} },
});
const between = defineView({
  name: 'between',
  kind: 'view',
  query: 'select user_id, total * 10 as tens from gated',
});
const top = defineView({
  name: 'top',
  kind: 'materialized',
  query: 'select user_id, tens::int from between',
  indexes: [{ columns: ['user_id'], unique: true }],
  tenant: 'user_id',
});
const all = [top, gated, between, unindexed];

const started: Refresher[] = [];
/** A refresher over some of the views, with what it did; stopped after the test. */
function refresher(options: Partial<RefresherOptions> = {}): Refresher & { readonly done: RefreshedEvent[] } {
  const done: RefreshedEvent[] = [];
  const made = createRefresher({
    sql: database.sql,
    views: all,
    debounce: 20,
    maxWait: 500,
    timeout: { lock: '20s' },
    ...options,
  });
  made.on('refreshed', (event) => done.push(event));
  started.push(made);
  return Object.assign(made, { done });
}

const insert = (user: number | null): Promise<unknown> =>
  database.pool.query('insert into calls (user_id) values ($1)', [user]);
const total = (user: number): Promise<number | undefined> =>
  database.one<number | undefined>('select total from gated where user_id = $1', [user]);
const truth = (user: number): Promise<number> =>
  database.one<number>('select count(*)::int from calls where user_id = $1', [user]);
const atGate = async (): Promise<void> =>
  vi.waitFor(async () => {
    const waiting = `select count(*)::int from pg_locks where locktype = 'advisory' and objid = 42 and not granted`;
    expect(await database.one(waiting)).toBeGreaterThan(0);
  }, 10_000);
const outbox = (): Promise<{ source: string; tenant: string | null; key: object }[]> =>
  database.rows('select source, tenant, key from cachekit.view_change order by seq');

const listeners: ReturnType<typeof createListener>[] = [];
function listener(): ReturnType<typeof createListener> {
  const made = createListener({ connect: () => new pg.Client({ connectionString: database.url }) });
  listeners.push(made);
  return made;
}

/** Nothing dirty, nothing told. */
async function settle(): Promise<void> {
  const quiet = createRefresher({ sql: database.sql, views: all });
  for (const { name } of [gated, top, unindexed]) await quiet.waitFresh(name);
  await database.pool.query('delete from cachekit.view_change');
}

let gate: pg.Client;
beforeAll(async () => {
  await createViews({ sql: database.sql, views: all }).apply();
  gate = await database.client();
  await settle();
});
afterEach(async () => {
  await gate.query('select pg_advisory_unlock_all()');
  await Promise.all(started.splice(0).map((one) => one.stop()));
  await settle();
});
afterAll(async () => {
  await Promise.all(listeners.map((one) => one.close()));
});

describe('refresh()', () => {
  it('tells exactly the tenants whose rows changed, in the commit of the refresh', async () => {
    const keeper = refresher();
    await database.pool.query('insert into calls (user_id) values (1), (2), (2)');
    await database.pool.query('update calls set user_id = 3 where user_id = 1');
    await database.pool.query('begin; insert into calls (user_id) values (99); rollback');
    await keeper.waitFresh('gated');
    expect((await outbox()).filter(({ source }) => source === 'gated')).toEqual(
      ['1', '2', '3'].map((tenant) => ({ source: 'gated', tenant, key: {} })),
    );
    expect(keeper.done).toMatchObject([
      {
        view: 'gated',
        mode: 'concurrently',
        marks: 4,
        changes: ['1', '2', '3'].map((tenant) => ({ tenant, key: {} })),
      },
    ]);
    expect(await total(3)).toBe(await truth(3));
  });

  it('does nothing for a transaction that was rolled back', async () => {
    const keeper = refresher();
    await database.pool.query('begin; insert into calls (user_id) values (99); rollback');
    await keeper.waitFresh('gated');
    expect(keeper.done).toEqual([]);
    expect(await outbox()).toEqual([]);
  });

  it('tells every tenant when it was asked for by hand, or when the changed row has no tenant', async () => {
    const keeper = refresher();
    await keeper.refresh('gated');
    expect(keeper.done).toMatchObject([{ view: 'gated', marks: 0, changes: [{ key: {} }] }]);
    await insert(null);
    await keeper.waitFresh('gated');
    expect(keeper.done.at(-1)?.changes).toEqual([{ key: {} }]);
    await database.pool.query('delete from calls where user_id is null');
  });

  it('goes plain on the first filling and concurrently from then on', async () => {
    await database.pool.query('refresh materialized view gated with no data');
    await expect(database.pool.query('select * from gated')).rejects.toMatchObject({ code: '55000' });
    const keeper = refresher();
    await keeper.refresh('gated');
    await keeper.refresh('gated');
    expect(keeper.done.map(({ mode }) => mode)).toEqual(['plain', 'concurrently']);
  });

  it('goes plain without a unique index when that is allowed', async () => {
    const keeper = refresher();
    await keeper.refresh('unindexed');
    expect(keeper.done.map(({ mode }) => mode)).toEqual(['plain']);
  });

  it.each([
    ['none', ''],
    ['one that is partial', 'create unique index gated_wrong on gated (user_id) where total > 0'],
    ['one over an expression', 'create unique index gated_wrong on gated ((user_id + 0))'],
    ['one that is not unique', 'create index gated_wrong on gated (user_id)'],
  ])('refuses before running when CONCURRENTLY has no unique index but %s', async (_what, index) => {
    await database.pool.query(`drop index gated_user_id_key; ${index}`);
    await insert(5);
    const keeper = refresher();
    await expect(keeper.refresh('gated')).rejects.toMatchObject({
      code: 'MISSING_UNIQUE_INDEX',
      view: 'gated',
    });
    expect(
      await database.one(`select count(*)::int from cachekit.mark where view = 'gated'`),
    ).toBeGreaterThan(0);
    await database.pool.query('drop index if exists gated_wrong');
    await createViews({ sql: database.sql, views: all }).apply();
    await keeper.waitFresh('gated');
    expect(await total(5)).toBe(await truth(5));
  });

  it('runs exactly once more for ten requests during one run', async () => {
    const keeper = refresher();
    await gate.query('select pg_advisory_lock(42)');
    const first = keeper.refresh('gated');
    await atGate();
    const during = Array.from({ length: 10 }, () => keeper.refresh('gated'));
    await gate.query('select pg_advisory_unlock(42)');
    await Promise.all([first, ...during]);
    expect(keeper.done).toHaveLength(2);
  });

  it('has a change that was committed during a run in the next run', async () => {
    const keeper = refresher();
    await insert(6);
    const before = await truth(6);
    await gate.query('select pg_advisory_lock(42)');
    const first = keeper.waitFresh('gated');
    await atGate();
    await insert(6);
    await gate.query('select pg_advisory_unlock(42)');
    await first;
    expect(await total(6)).toBe(before);
    await keeper.waitFresh('gated');
    expect(await total(6)).toBe(before + 1);
    expect(keeper.done).toHaveLength(2);
  });

  it('of two processes lets one at a time, and the later snapshot wins', async () => {
    const [one, other] = [refresher(), refresher()];
    await insert(7);
    await gate.query('select pg_advisory_lock(42)');
    const first = one.waitFresh('gated');
    await atGate();
    await insert(7);
    const second = other.waitFresh('gated');
    await new Promise((resolve) => setTimeout(resolve, 150));
    // The other one waits for nothing in the database: all that waits is the first, at the gate.
    const waiting = `select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    expect(await database.one(waiting)).toBe(1);
    await gate.query('select pg_advisory_unlock(42)');
    await Promise.all([first, second]);
    expect(await total(7)).toBe(await truth(7));
  });

  it('shares one refresh among processes that asked at the same time', async () => {
    let asked = 0;
    const sql: SqlExecutor = {
      async query(text, parameters) {
        const result = await database.sql.query<never>(text, parameters);
        // Who finds the view busy asks what time it is, to share whatever refresh begins later.
        if (text.includes('clock_timestamp()) * 1000000')) asked += 1;
        return result;
      },
      transaction: (run) => database.sql.transaction(run),
    };
    const many = Array.from({ length: 6 }, () => refresher({ sql }));
    await Promise.all(many.map((one) => one.refresh('gated')));
    const runs = many.flatMap(({ done }) => done).length;
    expect(runs).toBeGreaterThanOrEqual(1);
    expect(runs).toBeLessThanOrEqual(6);
    await gate.query('select pg_advisory_lock(42)');
    const first = many[0]?.refresh('gated');
    await atGate();
    asked = 0;
    const rest = many.slice(1).map((one) => one.refresh('gated'));
    await expect.poll(() => asked).toBe(rest.length);
    await gate.query('select pg_advisory_unlock(42)');
    await Promise.all([first, ...rest]);
    // One for all but the first; and one more if its transaction had begun before the last of them asked for the time.
    expect(many.flatMap(({ done }) => done).length - runs).toBeOneOf([2, 3]);
  });

  it('refreshes the marked views below it first, and no other', async () => {
    const keeper = refresher();
    await insert(8);
    await keeper.waitFresh('top');
    expect(keeper.done.map(({ view }) => view)).toEqual(['gated', 'top']);
    expect(keeper.done[1]?.changes).toEqual([{ tenant: '8', key: {} }]);
    expect(await database.one('select tens from top where user_id = 8')).toBe((await truth(8)) * 10);
  });

  it('keeps the marks when it fails, says why, and counts (CW-8)', async () => {
    const keeper = refresher({ timeout: { lock: '20s', run: 300 } });
    await insert(9);
    await gate.query('select pg_advisory_lock(42)');
    await expect(keeper.waitFresh('gated')).rejects.toMatchObject({ code: '57014' });
    await expect(keeper.waitFresh('gated')).rejects.toMatchObject({ code: '57014' });
    const status = (await keeper.status()).find(({ view }) => view === 'gated');
    expect(status).toMatchObject({ failures: 2, lastError: expect.stringContaining('statement timeout') });
    expect(status?.dirtySince).toBeGreaterThan(0);
    await gate.query('select pg_advisory_unlock(42)');
    await keeper.waitFresh('gated');
    const after = (await keeper.status()).find(({ view }) => view === 'gated');
    expect(after).toMatchObject({ failures: 0, running: false });
    expect(after).not.toHaveProperty('dirtySince');
    expect(after).not.toHaveProperty('lastError');
    expect(await total(9)).toBe(await truth(9));
  });

  it('works over Kysely as it does over a pool', async () => {
    const sql = kyselyExecutor(
      new Kysely<unknown>({ dialect: new PostgresDialect({ pool: database.pool }) }),
    );
    const views = createViews({ sql, views: all });
    expect((await views.apply()).map(({ action }) => action)).toEqual(all.map(() => 'unchanged'));
    const keeper = refresher({ sql });
    await insert(11);
    await keeper.waitFresh('top');
    expect(keeper.done.map(({ view, changes }) => [view, changes])).toEqual([
      ['gated', [{ tenant: '11', key: {} }]],
      ['top', [{ tenant: '11', key: {} }]],
    ]);
    expect(await keeper.status()).toMatchObject([{ view: 'top' }, { view: 'gated' }, { view: 'unindexed' }]);
  });

  it('gives up waiting after the timeout of the call', async () => {
    const keeper = refresher();
    await gate.query('select pg_advisory_lock(42)');
    await expect(keeper.refresh('gated', { timeout: 100 })).rejects.toMatchObject({
      code: 'REFRESH_FAILED',
      view: 'gated',
    });
    await gate.query('select pg_advisory_unlock(42)');
  });

  it('refuses views it does not know and views that were never applied', async () => {
    const keeper = refresher();
    await expect(keeper.refresh('nothing')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const never = defineView({ name: 'never', kind: 'materialized', query: 'select 1 as one' });
    const other = refresher({ views: [never] });
    await expect(other.start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await expect(other.refresh('never')).rejects.toMatchObject({ code: 'REFRESH_FAILED', view: 'never' });
  });
});

describe('readers', () => {
  it('read on while a view is refreshed concurrently', async () => {
    const keeper = refresher();
    await insert(1);
    await gate.query('select pg_advisory_lock(42)');
    const run = keeper.waitFresh('gated');
    await atGate();
    const reader = await database.client();
    await reader.query(`set statement_timeout = '2s'`);
    await reader.query('select count(*) from gated');
    expect((await keeper.status()).find(({ view }) => view === 'gated')?.running).toBe(true);
    await gate.query('select pg_advisory_unlock(42)');
    await run;
  });

  it('queue behind a plain refresh that waits for no longer than the lock timeout', async () => {
    const slow = await database.client();
    await slow.query('begin; select * from unindexed');
    const keeper = refresher({ timeout: { lock: 100 } });
    const run = expect(keeper.refresh('unindexed')).rejects.toMatchObject({ code: '55P03' });
    const innocent = await database.client();
    let longest = 0;
    for (let i = 0; i < 20; i++) {
      const from = performance.now();
      await innocent.query('select count(*) from unindexed');
      longest = Math.max(longest, performance.now() - from);
    }
    await run;
    expect(longest).toBeLessThan(1_500);
    await slow.query('commit');
  });
});

describe('start()', () => {
  const heardFresh = (user: number) =>
    vi.waitFor(async () => expect(await total(user)).toBe(await truth(user)), {
      timeout: 10_000,
      interval: 20,
    });

  it('refreshes what changes, by itself (RT-3)', async () => {
    const keeper = refresher({ listener: listener() });
    await keeper.start();
    await insert(31);
    await heardFresh(31);
    await database.pool.query('truncate calls');
    await vi.waitFor(
      async () => expect(await database.one('select count(*)::int from gated')).toBe(0),
      10_000,
    );
    await insert(31);
    await heardFresh(31);
    await vi.waitFor(
      async () => expect(await database.one('select tens from top where user_id = 31')).toBe(10),
      10_000,
    );
  });

  it('never waits longer than maxWait while changes keep coming', async () => {
    const keeper = refresher({ views: [gated], debounce: 400, maxWait: 600 });
    await keeper.start();
    const until = performance.now() + 3_000;
    while (performance.now() < until) {
      await insert(32);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // Without the bound the debounce would never have ended; with it there is a run at least every 600 ms and its own time.
    expect(keeper.done.length).toBeGreaterThanOrEqual(2);
    expect(keeper.done.length).toBeLessThanOrEqual(6);
    await heardFresh(32);
  });

  it('takes changes that come together in one refresh', async () => {
    const keeper = refresher({ views: [gated], debounce: '1s', maxWait: '20s' });
    await keeper.start();
    for (let i = 0; i < 10; i++) await insert(33);
    await heardFresh(33);
    // A refresh is seen from its commit on, and told once that was answered.
    await keeper.waitFresh('gated');
    expect(keeper.done).toHaveLength(1);
  });

  it('asks for a NOTIFY only while it sleeps', async () => {
    const armed = () =>
      database.one<boolean>(
        `select coalesce(bool_or(armed), false) from cachekit.wake where subject = 'view'`,
      );
    const keeper = refresher({ views: [gated], listener: listener() });
    await keeper.start();
    await vi.waitFor(async () => expect(await armed()).toBe(true), 10_000);
    const hearing = await database.client();
    let heard = 0;
    hearing.on('notification', () => {
      heard += 1;
    });
    await hearing.query('listen cachekit_view');
    await gate.query('select pg_advisory_lock(42)');
    await insert(34);
    await atGate();
    expect(await armed()).toBe(false);
    await hearing.query('select 1');
    const before = heard;
    expect(before).toBeGreaterThan(0);
    for (let i = 0; i < 5; i++) await insert(34);
    await hearing.query('select 1');
    expect(heard).toBe(before);
    await gate.query('select pg_advisory_unlock(42)');
    await heardFresh(34);
    await vi.waitFor(async () => expect(await armed()).toBe(true), 10_000);
    await keeper.stop();
    expect(await armed()).toBe(false);
  });

  it('tries again by itself after a failure', async () => {
    const keeper = refresher({ views: [gated], timeout: { lock: '20s', run: 200 } });
    const failures: number[] = [];
    keeper.on('failed', (event) => {
      failures.push(event.failures);
    });
    await keeper.start();
    await gate.query('select pg_advisory_lock(42)');
    await insert(35);
    await vi.waitFor(() => expect(failures).toEqual([1, 2]), 10_000);
    await gate.query('select pg_advisory_unlock(42)');
    await heardFresh(35);
  });

  it('survives the loss of its connections', async () => {
    const keeper = refresher({ views: [gated], listener: listener() });
    await keeper.start();
    await database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query ilike 'listen%'`,
    );
    await insert(36);
    await heardFresh(36);
  });

  it('with two processes and random writers ends with what the query gives', async () => {
    const keepers = [refresher({ listener: listener() }), refresher({ listener: listener() })];
    await Promise.all(keepers.map((keeper) => keeper.start()));
    const writers = await Promise.all(Array.from({ length: 4 }, () => database.client()));
    await Promise.all(
      writers.map(async (writer, w) => {
        for (let i = 0; i < 40; i++) {
          const user = (w * 7 + i * 3) % 10;
          await writer.query('begin');
          await writer.query('insert into calls (user_id) values ($1)', [user]);
          await writer.query('savepoint s');
          await writer.query(
            'update calls set user_id = (user_id + 1) % 10 where id = (select max(id) from calls where user_id = $1)',
            [user],
          );
          if (i % 3 === 0) await writer.query('rollback to savepoint s');
          await writer.query(i % 5 === 0 ? 'rollback' : 'commit');
        }
      }),
    );
    const difference = `(select user_id, count(*)::int from calls group by 1 except select user_id, total from gated)
      union all (select user_id, total from gated except select user_id, count(*)::int from calls group by 1)`;
    await vi.waitFor(async () => expect(await database.rows(difference)).toEqual([]), {
      timeout: 15_000,
      interval: 50,
    });
    await vi.waitFor(
      async () => expect(await database.one(`select count(*)::int from cachekit.mark`)).toBe(0),
      { timeout: 15_000, interval: 50 },
    );
  });
});

describe('writers', () => {
  it('meet no deadlock of ours: 24 of them, with refreshes and an apply in between', async () => {
    const keeper = refresher({ debounce: 0, maxWait: 50 });
    await keeper.start();
    const writers = await Promise.all(Array.from({ length: 24 }, () => database.client()));
    const write = async (writer: pg.Client, w: number): Promise<void> => {
      for (let i = 0; i < 15; i++) {
        await writer.query('begin');
        for (const user of w % 2 === 0 ? [50, 51] : [51, 50]) {
          await writer.query('insert into calls (user_id) values ($1)', [user]);
        }
        await writer.query('commit');
      }
    };
    const other = defineView({
      name: 'in_between',
      kind: 'materialized',
      query: 'select count(*) as n from calls',
      sources: { calls: {} },
    });
    const aside = createViews({ sql: database.sql, schema: 'aside', views: [other] });
    await Promise.all([...writers.map(write), aside.apply()]);
    await keeper.stop();
    await keeper.waitFresh('gated');
    expect(await total(50)).toBe(24 * 15);
    await createRefresher({ sql: database.sql, views: [other] }).waitFresh('in_between');
    expect(await database.one('select n = (select count(*) from calls) from aside.in_between')).toBe(true);
    await createViews({ sql: database.sql, schema: 'aside', views: [] }).apply({ prune: true });
  });
});

describe('the outbox', () => {
  it('has a row if and only if the refresh was committed', async () => {
    const keeper = refresher();
    await insert(41);
    await gate.query('select pg_advisory_lock(42)');
    const run = keeper.waitFresh('gated', { timeout: '20s' });
    const outcome = run.then(
      () => 'done',
      () => 'failed',
    );
    await atGate();
    await database.pool.query(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 42 and not granted`,
    );
    expect(await outcome).toBe('failed');
    expect(await outbox()).toEqual([]);
    expect(await database.one(`select count(*)::int from cachekit.mark where view = 'gated'`)).toBe(1);
    await gate.query('select pg_advisory_unlock(42)');
    await refresher().waitFresh('gated');
    expect((await outbox()).filter(({ source }) => source === 'gated')).toEqual([
      { source: 'gated', tenant: '41', key: {} },
    ]);
  });

  it('is delivered by refreshSource, also what was committed while nobody consumed', async () => {
    const collect = () => {
      const changes: ChangeEvent[] = [];
      return {
        changes,
        batch: async (batch: readonly ChangeEvent[]) => {
          changes.push(...batch);
        },
        gap: async () => undefined,
      };
    };
    const first = refreshSource({ sql: database.sql });
    const before = collect();
    await first.start(before);
    const keeper = refresher();
    await insert(42);
    await keeper.waitFresh('gated');
    await vi.waitFor(() => expect(before.changes).toHaveLength(1), 10_000);
    expect(before.changes[0]).toMatchObject({ table: 'gated', operation: 'refresh', tenant: '42', key: {} });
    await first.stop();

    await insert(43);
    await keeper.waitFresh('gated');
    const second = refreshSource({ sql: database.sql, listener: listener() });
    const after = collect();
    await second.start(after);
    await vi.waitFor(() => expect(after.changes.map(({ tenant }) => tenant)).toEqual(['43']), 10_000);
    await second.stop();
  });

  it('can have other consumers beside', async () => {
    const source = outboxSource({ sql: database.sql, outbox: 'view_change', name: 'another' });
    const seen: unknown[] = [];
    await source.start({
      batch: async (batch) => {
        seen.push(...batch);
      },
      gap: async () => undefined,
    });
    await insert(44);
    await refresher().waitFresh('gated');
    await vi.waitFor(() => expect(seen).toHaveLength(1), 10_000);
    await source.stop();
  });
});

describe('many changed keys', () => {
  it('are told by tenant above a thousand, and as everything above ten thousand tenants', async () => {
    const view: ViewDefinition = defineView({
      name: 'keyed',
      kind: 'materialized',
      query: 'select user_id, id, amount from calls',
      indexes: [{ columns: ['id'], unique: true }],
      tenant: 'user_id',
      sources: { calls: { tenant: 'user_id', key: { id: 'id' } } },
    });
    await createViews({ sql: database.sql, schema: 'keyed', views: [view] }).apply();
    const keeper = refresher({ views: [view] });
    await keeper.waitFresh('keyed');
    await database.pool.query('insert into calls (user_id) select g % 2 from generate_series(1, 400) g');
    await keeper.waitFresh('keyed');
    expect(keeper.done.at(-1)?.changes).toHaveLength(400);
    await database.pool.query('insert into calls (user_id) select g % 2 from generate_series(1, 1200) g');
    await keeper.waitFresh('keyed');
    expect(keeper.done.at(-1)?.changes).toEqual([
      { tenant: '0', key: {} },
      { tenant: '1', key: {} },
    ]);
    await database.pool.query('insert into calls (user_id) select g from generate_series(1, 10001) g');
    await keeper.waitFresh('keyed');
    expect(keeper.done.at(-1)?.changes).toEqual([{ key: {} }]);
    await createViews({ sql: database.sql, schema: 'keyed', views: [] }).apply({ prune: true });
    await database.pool.query('truncate calls');
  });
});
