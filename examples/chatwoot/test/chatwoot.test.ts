import { performance } from 'node:perf_hooks';
import { pgExecutor } from '@cachekit/core/postgres';
import { FakeClock } from '@cachekit/core/testing';
import { createDoctor, createViews, defineView } from '@cachekit/pg-matviews';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareApproaches } from '../comparison.ts';
import { conversationsCopy } from '../copy.ts';
import { hourlySummary } from '../hourly.ts';
import { type Analytics, prepare } from '../run.ts';
import { firstPhase, localSummary, remoteViews } from '../views.ts';

const conversations = 400;
const remoteDatabase = useDatabase();
const localDatabase = useDatabase();
let remote: pg.Pool;
let local: pg.Pool;
let analytics: Analytics;

beforeAll(async () => {
  remote = new pg.Pool({ connectionString: remoteDatabase.url });
  local = new pg.Pool({ connectionString: localDatabase.url });
  analytics = await prepare(pgExecutor(remote), pgExecutor(local), conversations);
});
afterAll(async () => {
  await remote?.end();
  await local?.end();
});

const rows = async (pool: pg.Pool, query: string): Promise<Record<string, unknown>[]> =>
  (await pool.query(query)).rows;
const value = async (pool: pg.Pool, query: string): Promise<unknown> =>
  Object.values((await rows(pool, query))[0] ?? {})[0];

/** Remote rows as text beside local ones. */
async function expectSame(): Promise<void> {
  const columns = `id, status, priority, contact_name, inbox_name, assignee_name, created_at, message_compiled, t_messages, rating, feedback_message,
    first_response_seconds, is_resolved, conversation_date, user_msg_count, contact_msg_count, duration_seconds`;
  const text = (from: string): string => `select row(${columns})::text as row from ${from} order by id`;
  const theirs = await rows(remote, text('vw_conversations_analytics'));
  const ours = new Set((await rows(local, text('conversations_analytics'))).map(({ row }) => row));
  expect(ours.size).toBe(theirs.length);
  expect(theirs.filter(({ row }) => !ours.has(row))).toEqual([]);
}

describe('the layers', () => {
  it('show each conversation once with contact, inbox and assignee, and its status by name (CW-1)', async () => {
    expect(await value(remote, 'select count(*)::int from vw_conversations_base')).toBe(conversations);
    expect(await rows(remote, 'select distinct status from vw_conversations_base order by 1')).toEqual(
      ['open', 'pending', 'resolved', 'snoozed'].map((status) => ({ status })),
    );
    expect(
      await value(remote, 'select count(*)::int from vw_conversations_base where assignee_id is null'),
    ).toBeGreaterThan(0);
    const [compiled] = await rows(
      remote,
      'select jsonb_array_length(message_compiled) as listed, t_messages from vw_messages_compiled where conversation_id = 7',
    );
    expect(compiled?.listed).toBe(compiled?.t_messages);
  });

  it('count a conversation with two surveys once, with the last of them (CW-1)', async () => {
    const twice = await value(
      remote,
      'select conversation_id::int from csat_survey_responses group by 1 having count(*) > 1 limit 1',
    );
    expect(twice).toEqual(expect.any(Number));
    expect(await rows(remote, `select rating from vw_conversations_analytics where id = ${twice}`)).toEqual(
      await rows(
        remote,
        `select rating from csat_survey_responses where conversation_id = ${twice} order by created_at desc limit 1`,
      ),
    );
    expect(await value(remote, 'select count(*)::int from vw_conversations_analytics')).toBe(conversations);
  });

  it('count a reply from before the conversation as none, and leave private messages out (CW-2)', async () => {
    expect(
      await value(
        remote,
        'select count(*)::int from conversations where first_reply_created_at < created_at',
      ),
    ).toBeGreaterThan(0);
    expect(
      await value(
        remote,
        'select count(*)::int from vw_conversation_metrics where first_response_seconds < 0',
      ),
    ).toBe(0);
    expect(await rows(remote, 'select sum(user_msg_count)::int as shown from vw_message_stats')).toEqual(
      await rows(
        remote,
        `select count(*)::int as shown from messages where sender_type = 'User' and not private`,
      ),
    );
    expect(await value(remote, 'select count(*)::int from messages where private')).toBeGreaterThan(0);
  });

  it('say the first response, flags and times of each conversation (CW-2)', async () => {
    const shown = `select conversation_id, first_response_seconds, is_resolved, is_assigned, conversation_date, conversation_hour, day_of_week
      from vw_conversation_metrics`;
    const truth = `select id, case when first_reply_created_at < created_at then null
        else round(extract(epoch from first_reply_created_at) - extract(epoch from created_at))::integer end,
        status = 1, assignee_id > 0 is true, to_char(created_at, 'YYYY-MM-DD')::date, to_char(created_at, 'HH24')::integer,
        to_char(created_at, 'D')::integer - 1
      from conversations`;
    expect(
      await rows(remote, `(${shown} except all (${truth})) union all ((${truth}) except all ${shown})`),
    ).toEqual([]);
  });

  it('say who wrote how much and for how long, private messages apart (CW-2)', async () => {
    const shown = `select conversation_id, user_msg_count, contact_msg_count, first_message_at, last_message_at, duration_seconds
      from vw_message_stats`;
    const truth = `select conversation_id, sum(case sender_type when 'User' then 1 else 0 end)::integer,
        sum(case sender_type when 'Contact' then 1 else 0 end)::integer, min(created_at), max(created_at),
        round(extract(epoch from max(created_at)) - extract(epoch from min(created_at)))::integer
      from messages where private = false group by 1`;
    expect(
      await rows(remote, `(${shown} except all (${truth})) union all ((${truth}) except all ${shown})`),
    ).toEqual([]);
  });

  it('join to one row per conversation, also without a message or a survey (CW-3)', async () => {
    await remote.query(`insert into conversations (account_id, inbox_id, display_id, created_at, updated_at, last_activity_at)
      values (1, 1, 9001, '2026-06-20', '2026-06-20', '2026-06-20')`);
    expect(
      await rows(
        remote,
        `select t_messages, user_msg_count, rating, contact_name from vw_conversations_analytics where display_id = 9001`,
      ),
    ).toEqual([{ t_messages: 0, user_msg_count: 0, rating: null, contact_name: null }]);
  });

  it('sum up each date, inbox and status: totals, first response, ratings (CW-4)', async () => {
    await remote.query('refresh materialized view concurrently mvw_daily_summary');
    const columns =
      'conversation_date, inbox_id, status, total_conversations, avg_response_time, total_rated, avg_rating';
    // From the tables, in other words than the layers.
    const truth = `select c.created_at::date, c.inbox_id, (array['open', 'resolved', 'pending', 'snoozed'])[c.status + 1], count(*)::integer,
        round(avg(case when c.first_reply_created_at >= c.created_at
          then extract(epoch from c.first_reply_created_at - c.created_at)::integer end), 2),
        count(r.rating)::integer, round(avg(r.rating), 2)
      from conversations c left join lateral (
        select rating from csat_survey_responses s where s.conversation_id = c.id order by s.created_at desc, s.id desc limit 1
      ) r on true group by 1, 2, 3`;
    const shown = `select ${columns} from mvw_daily_summary`;
    expect(
      await rows(remote, `(${shown} except all (${truth})) union all ((${truth}) except all ${shown})`),
    ).toEqual([]);
    expect(await value(remote, 'select sum(total_rated)::int from mvw_daily_summary')).toBeGreaterThan(0);
  });

  it('refresh the summary every hour, and say when that was and how long it took (CW-4, CW-8)', async () => {
    const clock = new FakeClock(Date.now());
    const hourly = hourlySummary(pgExecutor(remote), clock);
    const before = (await hourly.status())[0];
    await remote.query('update conversations set status = 3 where id = 9');
    await hourly.start();
    await expect
      .poll(
        async () => {
          await clock.advance(3_600_000);
          return (await hourly.status())[0]?.freshAsOf;
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(before?.freshAsOf ?? 0);
    await hourly.stop();
    expect((await hourly.status())[0]).toMatchObject({
      view: 'mvw_daily_summary',
      lastRunMs: expect.any(Number),
      failures: 0,
    });
    expect(
      await value(
        remote,
        `select sum(total_conversations)::int from mvw_daily_summary where status = 'snoozed'`,
      ),
    ).toBe(await value(remote, 'select count(*)::int from conversations where status = 3'));
  });

  it('store sums and counts beside averages, so that a month is made of days (CW-4)', async () => {
    expect(
      await rows(
        remote,
        `select sum(total_conversations)::int as total, round(sum(response_seconds) / sum(answered), 4) as response,
           round(sum(rating_sum)::numeric / sum(total_rated), 4) as rating from mvw_daily_summary`,
      ),
    ).toEqual(
      await rows(
        remote,
        `select count(*)::int as total, round(avg(first_response_seconds), 4) as response, round(avg(rating), 4) as rating
         from vw_conversations_analytics`,
      ),
    );
  });
});

it('the doctor finds nothing wrong with the layers, nor with the summary over the copy', async () => {
  for (const [pool, views] of [
    [remote, remoteViews],
    [local, [localSummary]],
  ] as const) {
    const found = await createDoctor({ sql: pgExecutor(pool), views }).examine();
    expect(found.map(({ defect, object }) => [defect, object])).toEqual([]);
  }
});

describe('a change of the layers', () => {
  it('begins with two views and goes on with more definitions (CW-5)', async () => {
    const phases = (views: typeof remoteViews) =>
      createViews({ sql: pgExecutor(remote), views, schema: 'phases' });
    const named = (views: typeof remoteViews) =>
      views.map((view) =>
        defineView({ ...source(view), name: `p_${view.name}`, query: renamed(view.query) }),
      );
    expect((await phases(named(firstPhase)).apply()).map(({ action }) => action)).toEqual([
      'create',
      'create',
    ]);
    const plan = await phases(named(remoteViews)).apply();
    expect(plan.filter(({ action }) => action === 'create').map(({ view }) => view)).toHaveLength(
      remoteViews.length - 2,
    );
    expect(await phases(named(remoteViews)).script()).toBe('');
  });

  it('replaces one view and its dependants, in their order, and no other (CW-5)', async () => {
    const changed = remoteViews.map((view) =>
      view.name === 'vw_message_stats'
        ? defineView({
            ...source(view),
            query: view.query.replace('where not private', 'where not private and message_type <> 2'),
          })
        : view,
    );
    const views = createViews({ sql: pgExecutor(remote), views: changed });
    const script = await views.script();
    const done = (await views.apply()).filter(({ action }) => action !== 'unchanged').map(({ view }) => view);
    expect(done).toEqual(['vw_message_stats', 'vw_conversations_analytics', 'mvw_daily_summary']);
    expect(script).toContain('vw_message_stats');
    expect(script).not.toMatch(/create (or replace )?view \S*vw_csat_base/i);
    expect(await value(remote, 'select count(*)::int from mvw_daily_summary')).toBeGreaterThan(0);
    await createViews({ sql: pgExecutor(remote), views: remoteViews }).apply();
  });
});

describe('the copy', () => {
  it('has every conversation, indexes of its own and a column of its own (CW-6)', async () => {
    await analytics.etl.run();
    await expectSame();
    await local.query('update conversations_analytics set reviewed = true where id = 7');
  });

  it('reads only what a message, a contact or a status without a date changed (CW-6)', async () => {
    await remote.query(`insert into messages (content, account_id, inbox_id, conversation_id, message_type, created_at, updated_at, sender_type)
      values ('late', 1, 1, 7, 0, now() at time zone 'UTC', now() at time zone 'UTC', 'Contact')`);
    await remote.query('update conversations set status = 3 where id = 8');
    const { read } = await analytics.etl.run();
    expect(read).toBeLessThan(10);
    await expectSame();
    expect(await value(local, 'select reviewed from conversations_analytics where id = 7')).toBe(true);
  });

  it('follows a merged contact and finds what was deleted (CW-6)', async () => {
    const contact = await value(remote, 'select contact_id::int from conversations where id = 20');
    await remote.query(
      `update conversations set contact_id = 1 where contact_id = ${contact}; delete from contacts where id = ${contact}`,
    );
    await remote.query(
      'delete from messages where conversation_id = 30; delete from conversations where id = 30',
    );
    expect(await analytics.etl.reconcile('keys')).toMatchObject({ deleted: 1 });
    await expectSame();
  });

  it('refreshes only the days it changed, in the local summary (CW-6)', async () => {
    await analytics.summary.waitFresh(localSummary.name);
    const refreshed: unknown[] = [];
    analytics.summary.on('refreshed', ({ mode, changes }) => refreshed.push(mode, changes.length));
    await remote.query('update conversations set status = (status + 1) % 4 where id = 40');
    await analytics.etl.run();
    await analytics.summary.waitFresh(localSummary.name);
    expect(refreshed[0]).toBe('partial');
    expect(refreshed[1]).toBeLessThan(10);
    expect(await value(local, 'select sum(total_conversations)::int from daily_summary')).toBe(
      await value(local, 'select count(*)::int from conversations_analytics'),
    );
  });

  it('answers while the remote database is away, and says how old it is (CW-7, CW-8)', async () => {
    const away = new pg.Pool({ connectionString: 'postgres://nobody@127.0.0.1:1/chatwoot' });
    const etl = conversationsCopy(pgExecutor(away), pgExecutor(local));
    await expect(etl.run()).rejects.toThrow();
    await away.end();
    const status = await etl.status();
    expect(status).toMatchObject({
      failures: 1,
      lastError: expect.stringContaining('ECONNREFUSED'),
      atRisk: false,
    });
    expect(status.lagMs).toBeGreaterThan(0);
    expect(status.runs.length).toBeGreaterThan(0);
    expect(await value(local, 'select count(*)::int from conversations_analytics')).toBe(conversations);
    expect(await analytics.etl.run()).toMatchObject({ deleted: 0 });
  });
});

it('compares the giant view, the layers, the materialized view and the local table on the same questions (CW-9)', async () => {
  const table = await compareApproaches(pgExecutor(remote), pgExecutor(local), analytics, () =>
    performance.now(),
  );
  expect(table.map(({ approach }) => approach)).toEqual([
    'one giant view',
    'layers',
    'materialized view',
    'local table',
    'local rollup',
  ]);
  expect(table.every(({ monthMs }) => monthMs !== undefined && monthMs > 0)).toBe(true);
  // A view is never old; what is stored is as old as its refresh, and says what that takes.
  expect(table.map(({ freshMs }) => freshMs > 0)).toEqual([false, false, true, true, true]);
});

/** What a definition was made of, as far as it differs here. */
function source(view: (typeof remoteViews)[number]): Parameters<typeof defineView>[0] {
  const { name, layer, query } = view;
  if (view.kind === 'rollup') throw new Error('There is no rollup among the remote views');
  const base = { name, kind: view.kind, query };
  return layer === undefined ? base : { ...base, layer };
}

function renamed(query: string): string {
  return query.replaceAll(/\b(vw_\w+|mvw_\w+)/g, 'p_$1');
}
