import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bucket, count, createViews, defineRollup, max, sum } from '../../src/index.ts';
import { testDatabase } from './database.ts';
import { type FuzzReport, fuzz, random } from './fuzz.ts';

/** Checks of the right one; each compares the exact view with the rows in a snapshot of its own. */
const checks = process.env.CACHEKIT_LONG ? 10_000 : 300;

const database = testDatabase(`
  create table users (id int primary key, team int not null);
  insert into users select g, g % 3 from generate_series(1, 12) g;
  create table calls (id int generated always as identity primary key, user_id int, start_time timestamptz not null, duration int);
  create index on calls (user_id, start_time);
`);

const perDay = defineRollup({
  name: 'per_day',
  from: 'calls',
  key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: 'America/Sao_Paulo' }) },
  measures: { total: count(), seconds: sum('duration'), last_at: max('start_time') },
  tenant: 'user_id',
});
const perTeam = defineRollup({
  name: 'per_team',
  from: 'calls',
  key: { user_id: 'user_id' },
  query: ({ scope }) =>
    `select c.user_id, min(u.team) as team, count(*) as total from ${scope('calls')} c join users u on u.id = c.user_id group by 1`,
  dimensions: { users: { key: { user_id: 'id' } } },
});

const raw = {
  per_day: `select user_id, (start_time at time zone 'America/Sao_Paulo')::date as date, count(*) as total, sum(duration) as seconds,
    max(start_time) as last_at from calls where user_id is not null group by 1, 2`,
  per_team: `select c.user_id, min(u.team) as team, count(*) as total from calls c join users u on u.id = c.user_id group by 1`,
};

let program: string;
let functionSql: string;
beforeAll(async () => {
  await createViews({ sql: database.sql, views: [perDay, perTeam] }).apply();
  program = await database.one(
    `select jsonb_object_agg(name, rollup)::text from cachekit.view where rollup is not null`,
  );
  functionSql = await database.one(`select pg_get_functiondef('cachekit.refresh_rollup'::regproc)`);
});

/** Puts the right one back, with nothing left of the wrong one. */
async function restore(): Promise<void> {
  await database.pool.query(functionSql);
  await database.pool.query(
    `update cachekit.view v set rollup = $1::jsonb->v.name, expired_on = null where rollup is not null`,
    [program],
  );
  await database.pool.query(
    'truncate calls; truncate cachekit.per_day__v1, cachekit.per_team__v1, cachekit.per_day__m1, cachekit.per_team__m1, cachekit.view_change',
  );
}
afterEach(restore);
afterAll(restore);

async function run(
  atLeast: number,
  seconds: number,
  until?: (report: FuzzReport) => boolean,
): Promise<FuzzReport> {
  return fuzz({
    url: database.url,
    views: ['per_day', 'per_team'],
    raw,
    atLeast,
    seconds,
    ...(until === undefined ? {} : { until }),
    next: random(Number(process.env.CACHEKIT_SEED ?? 20_261_121)),
  });
}

/** Changes the text of the function, and fails if there is nothing to change. */
async function mutateFunction(from: string, to: string, and?: readonly [string, string]): Promise<void> {
  expect(functionSql).toContain(from);
  if (and !== undefined) expect(functionSql).toContain(and[0]);
  const once = functionSql.replace(from, to);
  const changed = and === undefined ? once : once.replace(and[0], and[1]);
  await database.pool.query(changed);
}
async function mutateProgram(from: RegExp, to: string): Promise<void> {
  const { rows } = await database.pool.query(
    `select name, rollup->'program' as program from cachekit.view where rollup is not null`,
  );
  for (const { name, program: applied } of rows as { name: string; program: Record<string, string> }[]) {
    const changed = Object.fromEntries(
      ['exact', 'partial', 'whole'].map((part) => [part, applied[part]?.replace(from, to)]),
    );
    expect(changed.exact).not.toBe(applied.exact);
    // Without its function, the refresh runs what is written there.
    await database.pool.query(
      `update cachekit.view set rollup = jsonb_set(rollup, '{program}', (rollup->'program') - 'run' || $2::jsonb) where name = $1`,
      [name, JSON.stringify(changed)],
    );
  }
}

/** Lets `query` run between the snapshot of a refresh and what it writes; where it waits, the wrong ones meet sooner. */
async function computeFor(query: string): Promise<void> {
  await mutateProgram(/^WITH /, `WITH first AS MATERIALIZED (${query}), `);
  await mutateProgram(/FROM ck_dirty d\n/, 'FROM ck_dirty d CROSS JOIN (SELECT count(*) FROM first) f\n');
}

/**
 * How often two refreshes of a group met that must not. One of them would write over what the other has written, and does not
 * find it where it was: it fails with a key that is there already. Only where the group had been deleted it is wrong instead.
 */
function met({ wrongLive, wrongRollup, failedRefreshes }: FuzzReport): number {
  const failed = failedRefreshes.filter((error) => (error as { code?: string }).code === '23505');
  return wrongLive + wrongRollup + failed.length;
}

describe('the exact view of a rollup', () => {
  it(
    'is what the rows give in every snapshot, and the rollup itself once nothing is marked: 4 writers, 2 refreshers, savepoints, deletes, moved keys',
    async () => {
      const report = await run(checks, 3_600);
      expect(report).toMatchObject({ wrongLive: 0, wrongRollup: 0, failedRefreshes: [] });
      expect(report.checks).toBeGreaterThanOrEqual(checks);
      expect(report.commits).toBeGreaterThan(checks / 10);
      expect(report.refreshes).toBeGreaterThan(20);
    },
    process.env.CACHEKIT_LONG ? 3_600_000 : 120_000,
  );

  it('is caught without the lock', { timeout: 180_000 }, async () => {
    await mutateFunction(' FOR UPDATE SKIP LOCKED', '');
    await computeFor('SELECT pg_sleep(0.02)');
    const report = await run(20_000, 120, (seen) => met(seen) > 0);
    expect(met(report)).toBeGreaterThan(0);
  });

  it('is caught with the lock taken in the statement that computes', { timeout: 180_000 }, async () => {
    // The lock is waited for, and the snapshot is that of before.
    await mutateFunction('FOR UPDATE SKIP LOCKED', '');
    await computeFor(
      'SELECT 1, pg_sleep(0.02) FROM cachekit.view WHERE rollup IS NOT NULL ORDER BY name FOR UPDATE',
    );
    const report = await run(20_000, 120, (seen) => met(seen) > 0);
    expect(met(report)).toBeGreaterThan(0);
  });

  it('is caught wrong with marks deleted after the computing', { timeout: 180_000 }, async () => {
    await mutateProgram(/DELETE FROM (\S+)( WHERE wild = 0)? RETURNING (k[^)]*wild)/, 'SELECT $3 FROM $1$2');
    await mutateFunction(
      'GET DIAGNOSTICS touched = ROW_COUNT;',
      `GET DIAGNOSTICS touched = ROW_COUNT;
       EXECUTE 'DELETE FROM ' || (program->>'log');`,
    );
    const report = await run(20_000, 120, ({ wrongLive }) => wrongLive > 0);
    expect(report.failedRefreshes).toEqual([]);
    expect(report.wrongLive).toBeGreaterThan(0);
  });

  it('is caught wrong with a watermark over a sequence in place of deleted marks', {
    timeout: 180_000,
  }, async () => {
    await database.pool.query(`
      alter table cachekit.per_day__m1 add column seq bigserial;
      alter table cachekit.per_team__m1 add column seq bigserial;
      create table if not exists seen (log text primary key, seq bigint not null default 0);
      insert into seen values ('cachekit.per_day__m1', 0), ('cachekit.per_team__m1', 0) on conflict (log) do update set seq = 0`);
    try {
      await mutateProgram(
        /DELETE FROM "cachekit"\."(\w+)"( WHERE wild = 0)? RETURNING (k[^)]*wild)/,
        `SELECT $3 FROM cachekit.$1 WHERE seq > (SELECT s.seq FROM public.seen s WHERE s.log = 'cachekit.$1')`,
      );
      await mutateFunction(
        `must := forced`,
        `EXECUTE 'SELECT set_config(''fuzz.last'', coalesce(max(m.seq), 0)::text, true) FROM ' || (program->>'log') || ' m';
         must := forced`,
        [
          'GET DIAGNOSTICS touched = ROW_COUNT;',
          `GET DIAGNOSTICS touched = ROW_COUNT;
           UPDATE public.seen SET seq = current_setting('fuzz.last')::bigint WHERE log = replace(program->>'log', '"', '');`,
        ],
      );
      const report = await run(20_000, 120, ({ wrongRollup }) => wrongRollup > 0);
      expect(report.failedRefreshes).toEqual([]);
      expect(report.wrongRollup).toBeGreaterThan(0);
    } finally {
      await database.pool.query(
        'alter table cachekit.per_day__m1 drop column seq; alter table cachekit.per_team__m1 drop column seq',
      );
    }
  });

  /** A call and a rename that overlap: the call commits first and is refreshed, then the rename commits. */
  async function overlapping(): Promise<number> {
    const [one, two] = [await database.client(), await database.client()];
    await one.query('begin');
    await one.query(`insert into calls (user_id, start_time) values (12, now())`);
    await two.query('begin');
    await two.query('update users set team = team + 100 where id = 12');
    await one.query('commit');
    await database.pool.query(`select cachekit.refresh_rollup('per_team')`);
    await two.query('commit');
    await database.pool.query(`select cachekit.refresh_rollup('per_team')`);
    return database.one(
      `select count(*)::int from (select * from per_team except all (${raw.per_team})) different`,
    );
  }

  it('is right when a row and its dimension change at once, because marks hold own columns only', async () => {
    expect(await overlapping()).toBe(0);
  });

  it('is caught wrong with marks that are found by a join when they are written', async () => {
    const marking = await database.one<string>(`select pg_get_functiondef(tgfoid) from pg_trigger
      where tgrelid = 'users'::regclass and tgname = 'cachekit_mark_update'`);
    await database.pool.query(`create or replace function cachekit.mark_joined() returns trigger language plpgsql as $$ begin
      insert into cachekit.per_team__m1 (view, source, k0)
        select distinct 'per_team', 'public.users', c.user_id from new_rows n join public.calls c on c.user_id = n.id;
      return null; end $$`);
    await database.pool.query(`create or replace trigger cachekit_mark_update after update on users
      referencing old table as old_rows new table as new_rows for each statement execute function cachekit.mark_joined()`);
    try {
      expect(await overlapping()).toBeGreaterThan(0);
    } finally {
      const name = /FUNCTION (\S+?)\(/.exec(marking)?.[1];
      await database.pool.query(`create or replace trigger cachekit_mark_update after update on users
        referencing old table as old_rows new table as new_rows for each statement execute function ${name}()`);
    }
  });
});
