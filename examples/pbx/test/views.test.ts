import { pgExecutor } from '@cachekit/core/postgres';
import { createDoctor, createRefresher, createViews, type Refresher } from '@cachekit/pg-matviews';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schemaSql } from '../schema.sql.ts';
import { definePbxViews } from '../views.ts';

const zone = 'America/Sao_Paulo';
const database = useDatabase();
let pool: pg.Pool;
let refresher: Refresher;

/** Midnight of today in the zone of the views, plus or minus some time, as SQL. */
const today = (offset: string): string =>
  `(date_trunc('day', now() at time zone '${zone}') + interval '${offset}') at time zone '${zone}'`;

interface CallRow {
  user?: number;
  device?: number | null;
  campaign?: number | null;
  status?: string;
  at: string;
  duration?: number | null;
}

async function call({
  user = 1,
  device = null,
  campaign = null,
  status = 'completed',
  at,
  duration = null,
}: CallRow) {
  await pool.query(
    `insert into calls (user_id, device_id, campaign_id, phone_number, status, start_time, duration)
     values ($1, $2, $3, '+1', $4, ${at}, $5)`,
    [user, device, campaign, status, duration],
  );
}

async function rows(query: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await pool.query(query, parameters)).rows;
}

async function fresh(): Promise<void> {
  for (const { name } of definePbxViews(zone)) await refresher.waitFresh(name);
}

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: database.url, max: 5 });
  await pool.query(schemaSql);
  await pool.query(`insert into users (name) values ('one'), ('two');
    insert into devices (user_id, name, status) values (1, 'never called', 'online'), (1, 'old calls only', 'offline'), (1, 'busy', 'online'), (2, 'theirs', 'offline');
    insert into number_lists (user_id, name) values (1, 'no calls'), (1, 'old calls only'), (1, 'busy'), (1, 'nobody answers')`);
  const sql = pgExecutor(pool);
  const views = definePbxViews(zone);
  await createViews({ sql, views }).apply();
  refresher = createRefresher({ sql, views });
});
afterAll(async () => {
  await refresher.stop();
  await pool.end();
});

it('the doctor finds nothing wrong with these views', async () => {
  await fresh();
  const found = await createDoctor({ sql: pgExecutor(pool), views: definePbxViews(zone) }).examine();
  expect(found.map(({ defect, object }) => [defect, object])).toEqual([]);
});

describe('mv_call_statistics', () => {
  it('counts per user and day, durations that are known, and distinct devices and campaigns (PBX-1)', async () => {
    await pool.query('truncate calls');
    await call({ at: today('1 hour'), status: 'answered', device: 3, campaign: 3, duration: 10 });
    await call({ at: today('2 hours'), status: 'completed', device: 3, campaign: 3, duration: 21 });
    await call({ at: today('3 hours'), status: 'completed', device: 1, campaign: null, duration: null });
    await call({ at: today('4 hours'), status: 'failed' });
    await call({ at: today('5 hours'), status: 'ringing' });
    await call({ at: today('6 hours'), user: 2, status: 'failed' });
    await fresh();
    const [row, ...others] = await rows('select * from mv_call_statistics where user_id = 1');
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      total_calls: 5,
      answered_calls: 1,
      completed_calls: 2,
      failed_calls: 1,
      calls_with_duration: 2,
      total_duration: '31',
      avg_duration: '15.50',
      devices_used: 2,
      campaigns_run: 1,
    });
    const [theirs] = await rows('select * from mv_call_statistics where user_id = 2');
    expect(theirs).toMatchObject({
      total_calls: 1,
      total_duration: null,
      avg_duration: null,
      devices_used: 0,
    });
  });

  it('holds whole days: all of the first day of the window and nothing of the day before (PBX-1)', async () => {
    await pool.query('truncate calls');
    for (let hour = 0; hour < 24; hour++)
      await call({ at: `${today('-89 days')} + interval '${hour} hours'` });
    await call({ at: `${today('-89 days')} - interval '1 second'` });
    await fresh();
    expect(await rows('select total_calls from mv_call_statistics')).toEqual([{ total_calls: 24 }]);
  });

  it('puts a call on the day of the zone of the views, whoever applies, refreshes or reads (PBX-1)', async () => {
    await pool.query('truncate calls');
    await call({ at: today('-1 second') });
    await call({ at: today('0 seconds') });
    const expected = await rows(
      `select (date_trunc('day', now() at time zone '${zone}'))::date - 1 as yesterday, (now() at time zone '${zone}')::date as today`,
    );
    for (const timeZone of ['UTC', 'Asia/Tokyo', zone]) {
      const other = new pg.Pool({
        connectionString: database.url,
        max: 2,
        options: `-c TimeZone=${timeZone}`,
      });
      const sql = pgExecutor(other);
      const views = definePbxViews(zone);
      expect((await createViews({ sql, views }).plan()).map(({ action }) => action)).toEqual(
        views.map(() => 'unchanged'),
      );
      await createRefresher({ sql, views }).refresh('mv_call_statistics');
      const { rows: days } = await other.query(
        'select date, total_calls from mv_call_statistics order by date',
      );
      expect(days).toEqual([
        { date: expected[0]?.yesterday, total_calls: 1 },
        { date: expected[0]?.today, total_calls: 1 },
      ]);
      await other.end();
    }
  });

  it('is read by (user, date desc) from an index, without a sort (PBX-1)', async () => {
    await pool.query('truncate calls');
    await pool.query(
      `insert into users (name) select 'user ' || g from generate_series(3, 200) g on conflict do nothing`,
    );
    await pool.query(`insert into calls (user_id, phone_number, status, start_time)
      select u, '+1', 'completed', now() - d * interval '1 day' from generate_series(1, 190) u, generate_series(1, 85) d`);
    await fresh();
    await pool.query('analyze cachekit.mv_call_statistics__v1');
    const plan = await rows(
      `explain (format json) select * from mv_call_statistics where user_id = 7 order by date desc limit 30`,
    );
    const text = JSON.stringify(plan);
    expect(text).toContain('mv_call_statistics__v');
    expect(text).toMatch(/"Node Type":"Index (Only )?Scan"/);
    expect(text).not.toMatch(/"Node Type":"(Seq Scan|Sort|Incremental Sort)"/);
  });
});

describe('mv_device_performance', () => {
  it('shows a device without a recent call with zeros (PBX-2)', async () => {
    await pool.query('truncate calls');
    await call({ device: 2, at: today('-40 days'), duration: 99 });
    await call({ device: 3, at: today('1 hour'), status: 'answered', duration: 30 });
    await call({ device: 3, at: today('-29 days'), status: 'completed', duration: 60 });
    await call({
      device: 3,
      at: `${today('-29 days')} - interval '1 second'`,
      status: 'completed',
      duration: 600,
    });
    await fresh();
    const found = await rows('select * from mv_device_performance where user_id = 1 order by device_id');
    expect(found.map(({ device_name, total_calls }) => [device_name, total_calls])).toEqual([
      ['never called', 0],
      ['old calls only', 0],
      ['busy', 2],
    ]);
    expect(found[1]).toMatchObject({
      total_duration: '0',
      avg_duration: null,
      last_call_at: null,
      status: 'offline',
    });
    const [last] = await rows(`select ${today('1 hour')} as at`);
    expect(found[2]).toMatchObject({
      answered_calls: 1,
      completed_calls: 1,
      total_duration: '90',
      avg_duration: '45.00',
      last_call_at: last?.at,
    });
  });

  it('follows a device that is renamed, appears or goes (PBX-2)', async () => {
    await pool.query(`update devices set name = 'renamed' where id = 1`);
    await pool.query(`insert into devices (user_id, name) values (2, 'new')`);
    await pool.query('delete from devices where id = 4');
    await fresh();
    expect(await rows('select device_name from mv_device_performance where user_id = 2')).toEqual([
      { device_name: 'new' },
    ]);
    expect(await rows('select device_name from mv_device_performance where device_id = 1')).toEqual([
      { device_name: 'renamed' },
    ]);
  });
});

describe('mv_campaign_performance', () => {
  it('has the answer rate in percent with two decimals, none without calls, and shows every campaign (PBX-3)', async () => {
    await pool.query('truncate calls');
    await call({ campaign: 2, at: today('-70 days') });
    await call({ campaign: 3, at: today('1 hour'), status: 'answered', duration: 5 });
    await call({ campaign: 3, at: today('2 hours'), status: 'failed' });
    await call({ campaign: 3, at: today('-59 days'), status: 'failed' });
    await call({ campaign: 4, at: today('1 hour'), status: 'failed' });
    await fresh();
    const found =
      await rows(`select campaign_name, total_calls, answered_calls, completed_calls, failed_calls,
      answer_rate_percent, avg_duration from mv_campaign_performance order by campaign_id`);
    expect(found.map(Object.values)).toEqual([
      ['no calls', 0, 0, 0, 0, null, null],
      ['old calls only', 0, 0, 0, 0, null, null],
      ['busy', 3, 1, 0, 2, '33.33', '5.00'],
      ['nobody answers', 1, 0, 0, 1, '0.00', null],
    ]);
    const [span] = await rows(
      'select first_call_at, last_call_at from mv_campaign_performance where campaign_id = 3',
    );
    const [expected] = await rows(
      `select ${today('-59 days')} as first_call_at, ${today('2 hours')} as last_call_at`,
    );
    expect(span).toEqual(expected);
  });
});

describe('the three views', () => {
  it('agree with the calls after random writes (PBX-1, PBX-2, PBX-3)', async () => {
    await pool.query('truncate calls');
    await pool.query(`insert into calls (user_id, device_id, campaign_id, phone_number, status, start_time, duration)
      select 1, case when g % 7 > 0 then 1 + g % 3 end, case when g % 5 > 0 then 1 + g % 4 end, '+1',
        (array['ringing', 'answered', 'completed', 'failed'])[1 + g % 4], now() - (g % 2600) * interval '1 hour',
        case when g % 4 in (1, 2) then g % 300 end
      from generate_series(1, 3000) g`);
    await pool.query(
      `update calls set status = 'completed' where id % 11 = 0; delete from calls where id % 13 = 0`,
    );
    await fresh();
    const windowed = (days: number): string => `start_time >= ${today(`-${days - 1} days`)}`;
    const [sums] = await rows(`select
      (select sum(total_calls) from mv_call_statistics) = (select count(*) from calls where ${windowed(90)}) as totals,
      (select sum(total_duration) from mv_call_statistics) = (select sum(duration) from calls where ${windowed(90)}) as durations,
      (select sum(total_calls) from mv_device_performance) = (select count(device_id) from calls where ${windowed(30)}) as devices,
      (select sum(total_calls) from mv_campaign_performance) = (select count(campaign_id) from calls where ${windowed(60)}) as campaigns,
      (select sum(total_duration) / sum(calls_with_duration) from mv_call_statistics) = (select avg(duration) from calls where ${windowed(90)}) as average`);
    expect(sums).toEqual({ totals: true, durations: true, devices: true, campaigns: true, average: true });
  });

  it('compute only the user and the day of a call again, and tell exactly those (PBX-4, PBX-9)', async () => {
    await fresh();
    await pool.query('delete from cachekit.view_change');
    await call({ user: 2, device: 3, at: today('1 hour') });
    const done: (readonly [string, string, number])[] = [];
    refresher.on('refreshed', ({ view, mode, changes }) => {
      done.push([view, mode, changes.length]);
    });
    await fresh();
    expect(done.sort()).toEqual([
      ['device_days', 'partial', 1],
      ['mv_call_statistics', 'partial', 1],
    ]);
    const [day] = await rows(`select (now() at time zone '${zone}')::date::text as date`);
    const told = await rows('select source, tenant, key from cachekit.view_change order by source');
    expect(told).toEqual([
      { source: 'device_days', tenant: '2', key: { device_id: 3, user_id: 2, date: day?.date } },
      { source: 'mv_call_statistics', tenant: '2', key: { user_id: 2, date: day?.date } },
      { source: 'mv_device_performance', tenant: '2', key: {} },
    ]);
  });
});
