import { pgExecutor } from '@cachekit/core/postgres';
import { startPostgresWithCron } from '@cachekit/services';
import pg from 'pg';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { createRefresher, createViews, pgCronScript, uninstallViews } from '../../src/index.ts';
import { tablesSql, views } from '../fixtures/killed-views.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(tablesSql);
const schedule = { per_user: { cron: '* * * * *' }, native: { cron: '* * * * *', when: 'always' } } as const;
/** The commands of the jobs, as pg_cron gets them. */
const commands = (script: string): string[] =>
  [...script.matchAll(/, '(SET lock_timeout.*)'\);/g)].map(([, command = '']) =>
    command.replaceAll("''", "'"),
  );

beforeAll(async () => {
  await createViews({ sql: database.sql, views }).apply();
  const keeper = createRefresher({ sql: database.sql, views });
  for (const { name } of views) await keeper.waitFresh(name);
});

describe('pgCronScript()', () => {
  it('gives jobs that refresh what is marked, or all, and leave paused views alone (PBX-4)', async () => {
    const [rollup = '', native = ''] = commands(pgCronScript({ schedule }));
    const session = await database.client();
    const freshAsOf = (name: string): Promise<string> =>
      database.one('select fresh_as_of::text from cachekit.view where name = $1', [name]);
    const before = [await freshAsOf('per_user'), await freshAsOf('native')];
    await session.query(rollup);
    await session.query(native);
    expect(await freshAsOf('per_user')).toBe(before[0]);
    expect(await freshAsOf('native')).not.toBe(before[1]);
    await database.pool.query('insert into calls (user_id) values (1)');
    await session.query(rollup);
    expect(await database.rows('select user_id, total from per_user')).toEqual([{ user_id: 1, total: 1 }]);
    const keeper = createRefresher({ sql: database.sql, views });
    await keeper.pause('native');
    await session.query(native);
    expect(await database.one('select count(*)::int from native')).toBe(0);
    await keeper.resume('native');
    await session.query(native);
    expect(await database.one('select count(*)::int from native')).toBe(1);
  });

  it('gives jobs that see parts which came and went', async () => {
    const [rollup = ''] = commands(pgCronScript({ schedule }));
    const session = await database.client();
    await session.query(rollup);
    await database.pool.query(
      'create table calls_of_before (like calls); insert into calls_of_before (id, user_id) values (-1, 5)',
    );
    await database.pool.query('alter table calls_of_before inherit calls');
    await session.query(rollup);
    const of5 = 'select total from per_user where user_id = 5';
    expect(await database.rows(of5)).toEqual([{ total: 1 }]);
    await database.pool.query('drop table calls_of_before');
    await session.query(rollup);
    expect(await database.rows(of5)).toEqual([]);
  });

  it('refuses what is no schedule', () => {
    const refused = expect.objectContaining({ code: 'INVALID_CONFIGURATION' });
    const thrown = (given: unknown): unknown => {
      try {
        return pgCronScript(given as Parameters<typeof pgCronScript>[0]);
      } catch (error) {
        return error;
      }
    };
    for (const given of [
      { schedule: { a: { cron: 'now and then' } } },
      { schedule: { a: { cron: '90 seconds' } } },
      { schedule: { a: { cron: '* * * * *', when: 'never' } } },
      { schedule: { '': { cron: '* * * * *' } } },
      { schedule: {}, database: 'x' },
    ]) {
      expect(thrown(given)).toEqual(refused);
    }
    expect(pgCronScript({ schedule: { a: { cron: '30 seconds' } } })).toContain(`'30 seconds'`);
  });
});

// The extension has to be of the very server that loads it: both come as packages of the distribution. A machine that cannot have
// them is told so.
if (process.env.CACHEKIT_LONG) {
  describe('pg_cron', () => {
    it('refreshes by itself, and its jobs go with uninstallViews() (PBX-4)', {
      timeout: 300_000,
    }, async () => {
      const server = await startPostgresWithCron();
      const pool = new pg.Pool({ connectionString: server.url, max: 4 });
      pool.on('error', () => undefined);
      try {
        await pool.query(`create extension pg_cron; ${tablesSql}`);
        const sql = pgExecutor(pool);
        await createViews({ sql, views }).apply();
        await pool.query(pgCronScript({ schedule }));
        await pool.query(pgCronScript({ schedule }));
        expect((await pool.query('select jobname from cron.job order by 1')).rows).toEqual([
          { jobname: 'cachekit:native' },
          { jobname: 'cachekit:per_user' },
        ]);
        await pool.query('insert into calls (user_id) values (7)');
        await vi.waitFor(
          async () => {
            for (const { name } of views) {
              const { rows } = await pool.query(`select user_id, total from ${name}`);
              expect(rows).toEqual([{ user_id: 7, total: 1 }]);
            }
            const { rows } = await pool.query(
              `select distinct status from cron.job_run_details where status <> 'running'`,
            );
            expect(rows).toEqual([{ status: 'succeeded' }]);
          },
          { timeout: 150_000, interval: 1_000 },
        );
        await uninstallViews({ sql });
        expect((await pool.query('select * from cron.job')).rows).toEqual([]);
      } finally {
        await pool.end();
        await server.stop();
      }
    });
  });
}
