import { pgExecutor } from '@cachekit/core/postgres';
import pg from 'pg';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  createRefresher,
  createViews,
  defineView,
  type Refresher,
  type RefresherOptions,
} from '../../src/index.ts';
import { testDatabase } from './database.ts';

/** Whoever holds advisory lock 43 keeps a refresh in its statement; `broken` makes it fail. */
const database = testDatabase(`
  create table calls (id int generated always as identity primary key, user_id int);
  create table broken (since timestamptz);
  create function gate() returns int language plpgsql volatile as $$
    begin
      perform pg_advisory_xact_lock_shared(43);
      if exists (select from public.broken) then raise exception 'the query is broken'; end if;
      return 1;
    end $$;
`);

const counted = defineView({
  name: 'counted',
  kind: 'materialized',
  query: 'select user_id, count(*)::int as total from calls, (select gate()) g group by user_id',
  indexes: [{ columns: ['user_id'], unique: true }],
  sources: { calls: {} },
});
const above = defineView({
  name: 'above',
  kind: 'materialized',
  query: 'select sum(total)::int as total from counted',
});
const views = [counted, above];

const started: Refresher[] = [];
function refresher(options: Partial<RefresherOptions> = {}): Refresher & { readonly heard: string[] } {
  const heard: string[] = [];
  const made = createRefresher({
    sql: database.sql,
    views,
    debounce: 10,
    maxWait: 200,
    timeout: { lock: '20s' },
    ...options,
  });
  made.on('refreshed', ({ view }) => heard.push(`refreshed ${view}`));
  made.on('failed', ({ view, failures }) => heard.push(`failed ${view} ${failures}`));
  made.on('paused', ({ view, failures }) => heard.push(`paused ${view} ${failures}`));
  started.push(made);
  return Object.assign(made, { heard });
}
const insert = (): Promise<unknown> => database.pool.query('insert into calls (user_id) values (1)');
const statusOf = async (name: string): Promise<unknown> =>
  (await refresher().status()).find(({ view }) => view === name);
const marks = (): Promise<number> =>
  database.one(`select count(*)::int from cachekit.mark where view = 'counted'`);
const running = (): Promise<number> =>
  database.one(`select count(*)::int from pg_stat_activity
    where datname = current_database() and state = 'active' and query like 'SELECT cachekit.refresh(%'`);
const atGate = (): Promise<void> =>
  vi.waitFor(async () => {
    const waiting = `select count(*)::int from pg_locks where locktype = 'advisory' and objid = 43 and not granted`;
    expect(await database.one(waiting)).toBeGreaterThan(0);
  }, 10_000);

let gate: pg.Client;
beforeAll(async () => {
  await createViews({ sql: database.sql, views }).apply();
  await createRefresher({ sql: database.sql, views }).waitFresh('above');
  gate = await database.client();
});
afterEach(async () => {
  await gate.query('select pg_advisory_unlock_all(); delete from broken');
  await Promise.all(started.splice(0).map((one) => one.stop()));
  const last = createRefresher({ sql: database.sql, views });
  for (const { name } of views) await last.resume(name);
  await last.waitFresh('above');
});

describe('a view that fails', () => {
  it('is paused after so many failures in a row, with its marks, and is itself again after resume()', async () => {
    const keeper = refresher({ retry: { pauseAfter: 2 } });
    await keeper.start();
    await database.pool.query('insert into broken values (now())');
    await insert();
    await vi.waitFor(
      () => expect(keeper.heard).toEqual(['failed counted 1', 'failed counted 2', 'paused counted 2']),
      10_000,
    );
    expect(await statusOf('counted')).toMatchObject({
      paused: 'failures',
      failures: 2,
      lastError: 'the query is broken',
      dirtySince: expect.any(Number),
    });
    await database.pool.query('delete from broken');
    await insert();
    await expect(keeper.waitFresh('counted')).rejects.toMatchObject({
      code: 'REFRESH_FAILED',
      message: expect.stringMatching(/paused after 2 failures, the last one: the query is broken/),
    });
    await expect(keeper.waitFresh('above')).rejects.toMatchObject({ code: 'REFRESH_FAILED' });
    expect(await marks()).toBe(2);
    await keeper.resume('counted');
    await vi.waitFor(() => expect(keeper.heard).toContain('refreshed counted'), 10_000);
    expect(await marks()).toBe(0);
    expect(await statusOf('counted')).not.toHaveProperty('paused');
  });

  it('is itself again after a call of refresh() that succeeds, and after it was applied anew', async () => {
    const keeper = refresher({ retry: { pauseAfter: 1 } });
    const fail = async (): Promise<void> => {
      await database.pool.query('insert into broken values (now())');
      await insert();
      await expect(keeper.waitFresh('counted')).rejects.toThrow('the query is broken');
      await database.pool.query('delete from broken');
      expect(await statusOf('counted')).toMatchObject({ paused: 'failures' });
    };
    await fail();
    await keeper.refresh('counted');
    expect(await statusOf('counted')).toMatchObject({ failures: 0 });
    expect(await statusOf('counted')).not.toHaveProperty('paused');
    await fail();
    const mended = defineView({
      name: 'counted',
      kind: 'materialized',
      query: 'select user_id, count(*)::int as total from calls where user_id > 0 group by user_id',
      sources: { calls: {} },
    });
    await createViews({ sql: database.sql, views: [mended, above] }).apply();
    expect(await statusOf('counted')).not.toHaveProperty('paused');
    await createViews({ sql: database.sql, views }).apply();
  });

  it('rests for the back-off in every process', async () => {
    await database.pool.query('insert into broken values (now())');
    await insert();
    await expect(refresher().waitFresh('counted')).rejects.toThrow('the query is broken');
    await database.pool.query('update cachekit.view set failures = 10, failed_at = now()');
    await database.pool.query('delete from broken');
    const other = refresher();
    await database.pool.query(
      `insert into cachekit.mark (view, source, everything) values ('above', 'test', true)`,
    );
    await database.pool.query(`update cachekit.view set failures = 0 where name = 'above'`);
    await other.start();
    await vi.waitFor(() => expect(other.heard).toEqual(['refreshed above']), 10_000);
    expect(await marks()).toBe(1);
    // A call does not wait for it.
    await other.waitFresh('counted');
    expect(other.heard).toContain('refreshed counted');
  });
});

describe('pause()', () => {
  it('keeps every process from refreshing the view by itself, and not from a call', async () => {
    const keeper = refresher();
    const other = refresher();
    await Promise.all([keeper.start(), other.start()]);
    await keeper.pause('counted');
    await insert();
    await expect(keeper.waitFresh('counted')).rejects.toMatchObject({ code: 'REFRESH_FAILED' });
    expect(await marks()).toBe(1);
    await keeper.refresh('counted');
    expect(await marks()).toBe(0);
    expect(await statusOf('counted')).toMatchObject({ paused: 'call' });
    await insert();
    await other.resume('counted');
    await vi.waitFor(async () => expect(await marks()).toBe(0), 10_000);
    await expect(refresher({ views: [counted] }).pause('above')).rejects.toThrow('has no materialized view');
  });

  it('holds for tools that call the function, which says so', async () => {
    await refresher().pause('counted');
    await insert();
    expect(await database.one(`select cachekit.refresh('counted')->>'state'`)).toBe('paused');
    expect(await database.one(`select cachekit.refresh('counted', paused_too => true)->>'state'`)).toBe(
      'refreshed',
    );
  });
});

describe('a signal', () => {
  it('ends the call at once, cancels the statement in the server, and keeps the marks', async () => {
    const keeper = refresher();
    await insert();
    await gate.query('select pg_advisory_lock(43)');
    const controller = new AbortController();
    const call = keeper.waitFresh('counted', { signal: controller.signal });
    call.catch(() => undefined);
    await atGate();
    controller.abort(new Error('the user left'));
    await expect(call).rejects.toThrow('the user left');
    await vi.waitFor(async () => expect(await running()).toBe(0), 10_000);
    expect(await marks()).toBe(1);
    expect(await statusOf('counted')).toMatchObject({ failures: 0, running: false });
    await gate.query('select pg_advisory_unlock(43)');
    await keeper.waitFresh('counted');
    expect(keeper.heard).toEqual(['refreshed counted']);
  });

  it('cancels nothing that somebody else waits for', async () => {
    const keeper = refresher();
    await insert();
    await gate.query('select pg_advisory_lock(43)');
    const controller = new AbortController();
    const leaving = keeper.refresh('counted', { signal: controller.signal });
    const staying = keeper.refresh('counted');
    leaving.catch(() => undefined);
    await atGate();
    controller.abort();
    await expect(leaving).rejects.toMatchObject({ name: 'AbortError' });
    await gate.query('select pg_advisory_unlock(43)');
    await expect(staying).resolves.toMatchObject({ view: 'counted' });
    expect(keeper.heard).toEqual(['refreshed counted']);
  });

  it('cancels the refresh of what the view is computed from too', async () => {
    const keeper = refresher();
    await insert();
    await gate.query('select pg_advisory_lock(43)');
    const controller = new AbortController();
    const call = keeper.refresh('above', { signal: controller.signal });
    call.catch(() => undefined);
    await atGate();
    controller.abort();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    await vi.waitFor(async () => expect(await running()).toBe(0), 10_000);
    // Whoever comes right after has a refresh of their own.
    await gate.query('select pg_advisory_unlock(43)');
    await keeper.waitFresh('above');
  });

  it('that was aborted before asks for nothing', async () => {
    const keeper = refresher();
    await expect(keeper.refresh('counted', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(keeper.heard).toEqual([]);
  });

  it('never hits the transaction that comes after on the same connection', async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 2 });
    try {
      const sql = pgExecutor(pool);
      const keeper = refresher({ sql });
      for (let i = 0; i < 30; i++) {
        await insert();
        const controller = new AbortController();
        const call = keeper.refresh('counted', { signal: controller.signal }).catch(() => undefined);
        setTimeout(() => controller.abort(), i / 3);
        await call;
        await Promise.all([pool.query('select pg_sleep(0.002)'), pool.query('select pg_sleep(0.002)')]);
      }
    } finally {
      await Promise.all(started.splice(0).map((one) => one.stop()));
      await pool.end();
    }
  });

  it('does not stop a pool of one connection for ever', async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    const keeper = refresher({ sql: pgExecutor(pool), timeout: { lock: '20s', run: 500 } });
    await insert();
    await gate.query('select pg_advisory_lock(43)');
    const controller = new AbortController();
    const call = keeper.refresh('counted', { signal: controller.signal });
    call.catch(() => undefined);
    await atGate();
    controller.abort();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});
