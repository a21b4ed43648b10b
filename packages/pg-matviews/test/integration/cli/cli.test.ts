import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding, PlanEntry, ViewDrift, ViewExplanation, ViewStatus } from '@cachekit/pg-matviews';
import { afterAll, expect, test } from 'vitest';
import { testDatabase } from '../database.ts';
import { cachekitViews, inProcess } from './program.ts';

const database = testDatabase(`
  create table calls (id bigint generated always as identity primary key, user_id integer not null, at timestamptz not null default now());
  insert into calls (user_id) select i % 3 from generate_series(1, 30) i;
`);
const run = (sql: string) => database.pool.query(sql);
const cli = (...args: string[]) => inProcess(args, database.url);
const out = join(tmpdir(), `cachekit-views-${process.pid}.ts`);
afterAll(() => rmSync(out, { force: true }));

test('plan says what apply would do and does nothing; apply does it, also from a schema that is not there yet', async () => {
  const planned = await cachekitViews(['plan'], database.url);
  expect([planned.code, planned.err]).toEqual([0, '']);
  expect(planned.out).toMatch(/^create +mv_per_user$/m);
  expect(await database.one(`select to_regclass('cachekit.view')`)).toBeNull();
  expect((await cli('check')).out).toBe('Nothing was changed by hand.\n');
  for (const command of ['status', 'refresh']) {
    const refused = await cli(command);
    expect([refused.code, refused.out, refused.err]).toEqual([
      2,
      '',
      'No views were ever applied to this database; run `cachekit-views apply` first\n',
    ]);
  }
  const told = await cli('doctor');
  expect([told.code, told.out]).toEqual([
    1,
    `warning  not-applied  calls_per_day
  It was never applied: the database has no such view.

  Run \`cachekit-views apply\`; \`cachekit-views generate\` prints its SQL.

warning  not-applied  mv_per_user
  It was never applied: the database has no such view.

  The same mends this too.

warning  not-applied  v_total
  It was never applied: the database has no such view.

  The same mends this too.

3 found.
`,
  ]);
  const pending = await cli('check', '--pending', '--json');
  expect([pending.code, pending.json<{ pending: PlanEntry[] }>().pending.length]).toEqual([1, 3]);

  const applied = await cli('apply', '--json');
  expect(applied.json<PlanEntry[]>().map(({ view, action }) => [view, action])).toEqual(
    [
      ['calls_per_day', 'create'],
      ['mv_per_user', 'create'],
      ['v_total', 'create'],
    ].sort((a, b) => applied.out.indexOf(a[0] as string) - applied.out.indexOf(b[0] as string)),
  );
  expect((await cli('apply')).out).toBe('Nothing to do.\n');
  expect((await cli('check', '--pending')).out).toBe('As defined.\n');
});

test('check fails when somebody changed a view by hand, apply refuses it, --drift replace puts it back', async () => {
  await run('drop index views.mv_per_user_user_id_key');
  const checked = await cli('check', '--json');
  expect(checked.code).toBe(1);
  expect(checked.json<{ drifts: ViewDrift[] }>().drifts).toEqual([
    { view: 'mv_per_user', what: 'index', object: 'mv_per_user_user_id_key' },
  ]);
  await run('create or replace view views.v_total as select sum(total) + 1 as total from views.mv_per_user');
  const refused = await cli('apply');
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('v_total')]);
  expect((await cli('apply', '--drift', 'replace')).code).toBe(0);
  expect((await cli('check')).code).toBe(0);
});

test('refresh and status: what waits, how it was refreshed, and one group of a rollup (PBX-4, CW-8)', async () => {
  await cli('refresh');
  await run('insert into calls (user_id) values (1)');
  const waiting = await cli('status', '--json');
  expect(waiting.json<ViewStatus[]>().map(({ view, marks }) => [view, marks])).toEqual(
    expect.arrayContaining([
      ['mv_per_user', 1],
      ['calls_per_day', 1],
    ]),
  );
  expect((await cli('status', 'mv_per_user')).out).toMatch(/^view +fresh as of/);
  const marked = await cli('refresh', '--marked', '--json');
  expect(marked.json<{ view: string; mode: string }[]>().map(({ view, mode }) => [view, mode])).toEqual(
    expect.arrayContaining([
      ['mv_per_user', 'concurrently'],
      ['calls_per_day', 'partial'],
    ]),
  );
  expect(await database.one('select total::int from views.v_total')).toBe(31);
  expect((await cli('refresh', '--marked')).out).toMatch(/^mv_per_user +was fresh$/m);

  await run(
    `set session_replication_role = replica; insert into calls (user_id) values (2); set session_replication_role = origin`,
  );
  expect((await cli('refresh', 'calls_per_day', '--where', 'user_id=2')).code).toBe(0);
  expect(await database.one('select sum(total)::int from views.calls_per_day')).toBe(32);
  await run(
    `set session_replication_role = replica; insert into calls (user_id) values (0); set session_replication_role = origin`,
  );
  expect((await cli('refresh', '--reconcile')).out).toMatch(/^calls_per_day +3 groups +1 healed$/m);
  expect(await database.one('select sum(total)::int from views.calls_per_day')).toBe(33);
});

test('status: how many refreshes there were, what they took, and those that failed or were slow (CW-8)', async () => {
  await run(
    `update cachekit.view set failures = failures + 1, last_error = E'canceling statement due to\\nlock timeout' where name = 'mv_per_user'`,
  );
  const { totals, runs } =
    (await cli('status', 'mv_per_user', '--json')).json<ViewStatus[]>()[0] ?? expect.fail('no status');
  expect(totals).toEqual({ refreshes: 2, refreshMs: expect.any(Number), failures: 1 });
  expect(runs).toEqual([{ endedAt: expect.any(Number), error: 'canceling statement due to\nlock timeout' }]);
  const { out } = await cli('status');
  expect(out).toMatch(/^view .* last run +mean +runs +failed +state$/m);
  expect(out).toMatch(/^mv_per_user .* 2 +1 +1 failures: /m);
  expect(out).toMatch(/^\n\d{4}-\d\d-.*Z +mv_per_user +failed: canceling statement due to$/m);
  await cli('refresh', 'mv_per_user');
});

test('doctor fails on findings, prints the SQL that mends them, and passes when it was run', async () => {
  expect((await cli('doctor')).out).toBe('Nothing is wrong.\n');
  await run(
    'create materialized view mv_foreign as select user_id, count(*) as n from calls group by user_id',
  );
  const told = await cli('doctor');
  expect(told.code).toBe(1);
  expect(told.out).toContain('warning  unique-index-missing  public.mv_foreign');
  expect((await cli('doctor', '--ignore', 'unique-index-missing')).code).toBe(0);
  const found = (await cli('doctor', '--json')).json<Finding[]>();
  for (const sql of found.flatMap(({ mend }) => mend)) await run(sql);
  expect((await cli('doctor')).code).toBe(0);
});

test('explain shows the plans of a refresh', async () => {
  const explained = await cli('explain', 'calls_per_day');
  expect(explained.code).toBe(0);
  expect(explained.out).toMatch(/Groups that changed:\n.*Merge/);
  expect((await cli('explain', '--json')).json<ViewExplanation[]>()).toHaveLength(3);
});

test('generate: the script, a migration of Kysely and types, which are programs', async () => {
  expect(await cli('generate')).toMatchObject({
    code: 0,
    out: '',
    err: 'Nothing to do: the database is as defined.\n',
  });
  await run(`drop schema views cascade; drop schema cachekit cascade`);
  const script = (await cli('generate', 'sql')).out;
  expect(script).toMatch(/^BEGIN;\n[\s\S]*COMMIT;\n$/);
  const migration = await cli('generate', 'kysely', '--out', out);
  expect([migration.code, migration.out]).toEqual([0, `${out}\n`]);
  const statements: string[] = [];
  const text = stripTypeScriptTypes(readFileSync(out, 'utf8'))
    .replace(/^import .*$/m, '')
    .replace('export ', '');
  const up = new Function('sql', `${text}; return up;`)({
    raw: (sql: string) => ({ execute: async () => statements.push(sql) }),
  }) as (db: unknown) => Promise<void>;
  await up({});
  expect(statements[0]).toContain(script.replace(/^BEGIN;\n/, '').replace(/COMMIT;\n$/, ''));
  // The migrations that follow it in the same transaction are not to see what it set.
  const migrator = await database.client();
  await migrator.query(`begin; set local search_path = elsewhere; set local lock_timeout = '7s'`);
  await migrator.query(statements[0] as string);
  const { rows } = await migrator.query(
    `select current_setting('search_path') as path, current_setting('lock_timeout') as lock`,
  );
  expect(rows).toEqual([{ path: 'elsewhere', lock: '7s' }]);
  await migrator.query('commit');
  expect((await cli('check', '--pending')).code).toBe(0);
  expect((await cli('generate', 'types')).out).toContain(`  calls_per_day: {
    user_id: number;
    day: Date;
    total: string | null;
  };`);
  expect((await cli('generate', 'types')).out).toContain('    ids: string[] | null;');
});

test('the configuration may be JavaScript with a list as its default export', async () => {
  expect((await cli('plan', '--config', 'plain.config.mjs')).out).toMatch(/^create +v_one$/m);
});

test.each([
  ['an unknown command', ['refesh'], 'There is no command "refesh"'],
  ['an option of another command', ['plan', '--where', 'a=b'], 'plan takes no --where'],
  ['an unknown option', ['plan', '--fast'], '--fast'],
  ['a view that is not there', ['refresh', 'nothing'], 'There is no view "nothing" to refresh'],
  ['a time that is none', ['refresh', '--timeout', 'soon'], '--timeout'],
  ['names where none are taken', ['apply', 'v_total'], 'apply takes no names'],
  ['a configuration that is not there', ['plan', '-c', 'nowhere.mjs'], 'There is no file'],
  ['a configuration without views', ['plan', '-c', 'broken.config.mjs'], 'exports no `views`'],
  ['an unknown defect', ['doctor', '--ignore', 'laziness'], 'there is no defect "laziness"'],
  [
    '--where for several',
    ['refresh', '--where', 'user_id=1', 'calls_per_day', 'calls_per_day'],
    'for one view',
  ],
])('exit code 2, and why, for %s', async (_, args, why) => {
  const { code, err, out: printed } = await cli(...args);
  expect([code, printed]).toEqual([2, '']);
  expect(err).toContain(why);
});

test.each([[['refesh']], [['plan', '--fast']], [['plan', '--drift', 'maybe']]])(
  '--json tells what is wrong with %j too',
  async (args) => {
    const told = await cli(...args, '--json');
    expect([told.code, told.err]).toEqual([2, '']);
    expect(told.json()).toEqual({ error: { code: 'INVALID_CONFIGURATION', message: expect.any(String) } });
  },
);

test('without a database to connect to: 2 if none is named, 3 if it is not there; --json tells errors too', async () => {
  expect(await cachekitViews(['plan'], undefined)).toMatchObject({
    code: 2,
    err: expect.stringContaining('DATABASE_URL'),
  });
  const away = await cachekitViews(['plan', '--json'], 'postgres://postgres@127.0.0.1:1/none');
  expect(away.code).toBe(3);
  expect(away.json()).toEqual({
    error: { code: 'ECONNREFUSED', message: expect.stringContaining('ECONNREFUSED') },
  });
});

test('--help needs nothing', async () => {
  const { code, out: printed } = await cachekitViews(['--help'], undefined);
  expect([code, printed]).toEqual([0, expect.stringContaining('cachekit-views refresh [view ...]')]);
  expect((await cachekitViews([], undefined)).out).toBe(printed);
});

test('long work tells what it does, and an interrupt cancels it on the server', async () => {
  const config = join(tmpdir(), `cachekit-views-slow-${process.pid}.mjs`);
  writeFileSync(
    config,
    `export const views = [{ name: 'mv_slow', kind: 'materialized', query: 'select 1 as one from pg_sleep(60)', references: [], indexes: [], sources: [], refresh: 'auto' }];`,
  );
  try {
    const { code, err } = await cachekitViews(['apply', '-c', config], database.url, (child) => {
      child.stderr?.once('data', () => child.kill('SIGINT'));
    });
    expect(code).toBe(3);
    expect(err).toMatch(
      /^\d+ s {2}CREATE MATERIALIZED VIEW "public"."mv_slow" AS select 1 as one from pg_sleep\(60\)$/m,
    );
    expect(err).toContain('canceling statement due to user request');
    expect(
      await database.one(
        `select count(*)::int from pg_stat_activity where query like '%pg_sleep(60)' and state = 'active'`,
      ),
    ).toBe(0);
  } finally {
    rmSync(config);
  }
});
