import { pgExecutor } from '@cachekit/core/postgres';
import { startPostgres } from '@cachekit/services';
import pg from 'pg';
import { expect, it } from 'vitest';
import { createViews } from '../../src/index.ts';
import { tablesSql, views } from '../fixtures/killed-views.ts';

it('a rollup is complete after apply() if no transaction ended meanwhile: nothing is marked', {
  timeout: 90_000,
}, async () => {
  // Transactions of other databases count too, so the server is this test's own.
  const server = await startPostgres({ own: true });
  const pool = new pg.Pool({ connectionString: server.url });
  pool.on('error', () => undefined);
  const sql = pgExecutor(pool);
  try {
    await pool.query(`${tablesSql}; insert into calls (user_id) select g % 9 from generate_series(1, 500) g`);
    // Autovacuum may be at work all the same.
    await expect
      .poll(
        async () => {
          await createViews({ sql, views: [] }).apply({ prune: true });
          await createViews({ sql, views: views.slice(0, 1) }).apply();
          const { rows } = await pool.query(
            'select (select count(*)::int from cachekit.mark) as marks, count(*)::int as groups from per_user',
          );
          return rows[0];
        },
        { timeout: 60_000 },
      )
      .toEqual({ marks: 0, groups: 9 });
  } finally {
    await pool.end();
    await server.stop();
  }
});
