import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { pgExecutor } from '@cachekit/core/postgres';
import { startPostgres } from '@cachekit/services';
import pg from 'pg';
import { describe, expect, it, vi } from 'vitest';
import { createRefresher, createViews, refreshSource } from '../../src/index.ts';
import { tablesSql, views } from '../fixtures/killed-views.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(tablesSql);
const worker = fileURLToPath(new URL('../fixtures/refresh-until-killed.ts', import.meta.url));
const kills = process.env.CACHEKIT_LONG ? 40 : 3;
const truth = 'select user_id, count(*)::int as total from calls group by user_id';
const wrong = (
  view: string,
): string => `select count(*)::int as n from (((${truth}) except (select user_id, total from ${view}))
  union all ((select user_id, total from ${view}) except (${truth}))) d`;

describe('a worker that is killed with SIGKILL at any moment', () => {
  it('loses no change: the exact view holds all the time, and the next worker brings all to the truth and tells it', {
    timeout: kills * 10_000 + 60_000,
  }, async () => {
    await createViews({ sql: database.sql, views }).apply();
    const first = createRefresher({ sql: database.sql, views });
    for (const { name } of views) await first.waitFresh(name);
    // Who hears everything that is committed from now on knows every tenant that changed.
    const told = new Set<string>();
    const source = refreshSource({ sql: database.sql });
    await source.start({
      batch: async (changes) => {
        for (const { table, tenant } of changes) told.add(`${table} ${tenant}`);
      },
      gap: async () => undefined,
    });
    let stopped = false;
    let exact = 0;
    const writing = (async () => {
      for (let i = 0; !stopped; i++) {
        const user = i % 97;
        await database.pool.query('insert into calls (user_id) values ($1), ($2)', [user, (user * 7) % 97]);
        if (i % 5 === 0)
          await database.pool.query('delete from calls where id = (select min(id) from calls)');
        if (i % 10 === 0) {
          expect(await database.one(wrong('per_user_live'))).toBe(0);
          exact += 1;
        }
      }
    })();
    for (let i = 0; i < kills; i++) {
      const process_ = spawn(process.execPath, ['--conditions=@cachekit/source', worker, database.url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(process_, 'exit');
      await once(process_.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, (i * 37) % 200));
      process_.kill('SIGKILL');
      await ended;
    }
    stopped = true;
    await writing;
    const next = createRefresher({ sql: database.sql, views });
    for (const { name } of views) {
      await next.waitFresh(name);
      expect(await database.one(wrong(name))).toBe(0);
    }
    expect(await database.one('select count(*)::int from cachekit.mark')).toBe(0);
    expect(exact).toBeGreaterThan(0);
    // Nobody was there at first; of who came and went between two refreshes there is nothing to tell.
    const expected = (await database.rows<{ user_id: number }>('select distinct user_id from calls')).map(
      ({ user_id }) => `per_user ${user_id}`,
    );
    await vi.waitFor(() => expect(expected.filter((one) => !told.has(one))).toEqual([]), 20_000);
    await source.stop();
  });
});

describe('a PostgreSQL that is killed and started again', () => {
  it('finds workers that go on by themselves, with every committed change', {
    timeout: 120_000,
  }, async () => {
    const server = await startPostgres({ own: true });
    const pool = new pg.Pool({ connectionString: server.url, max: 8 });
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    const sql = pgExecutor(pool);
    const keepers = [1, 2].map(() => createRefresher({ sql, views, debounce: 5, maxWait: 50 }));
    try {
      await pool.query(tablesSql);
      await createViews({ sql, views }).apply();
      for (const keeper of keepers) {
        keeper.on('error', () => undefined);
        await keeper.start();
      }
      for (const signal of ['SIGKILL', 'SIGQUIT'] as const) {
        await pool.query('insert into calls (user_id) select g % 50 from generate_series(1, 500) g');
        await server.kill(signal);
        await server.restart();
        await vi.waitFor(() => pool.query('insert into calls (user_id) values (1)'), {
          timeout: 20_000,
          interval: 100,
        });
        await vi.waitFor(
          async () => {
            for (const { name } of views) expect((await pool.query(wrong(name))).rows[0].n).toBe(0);
          },
          { timeout: 40_000, interval: 100 },
        );
      }
      expect((await keepers[0]?.status())?.map(({ failures, paused }) => [failures, paused])).toEqual([
        [0, undefined],
        [0, undefined],
      ]);
    } finally {
      await Promise.all(keepers.map((keeper) => keeper.stop()));
      await pool.end();
      await server.stop();
    }
  });
});
