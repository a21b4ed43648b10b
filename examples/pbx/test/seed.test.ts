import { pgExecutor } from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom, logNormal, weighted } from '../seed/random.ts';
import { seed } from '../seed/seed.ts';

const database = useDatabase();
const now = Date.UTC(2026, 10, 20, 15);
let pool: pg.Pool;

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
});
afterAll(() => pool.end());

test('the same seed gives the same calls, none of them in the future or older than 90 days', async () => {
  const sql = pgExecutor(pool);
  const size = { users: 10, devices: 40, campaigns: 12, calls: 6_000 };
  const progress: number[] = [];
  expect(await seed(sql, size, now, (written) => progress.push(written))).toBe(6_000);
  expect(progress).toEqual([5_000, 6_000]);
  const { rows } = await sql.query<{
    calls: string;
    users: string;
    hash: string;
    oldest: Date;
    newest: Date;
    owned: boolean;
  }>(
    `select count(*) as calls, count(distinct c.user_id) as users, min(c.start_time) as oldest, max(c.start_time) as newest,
            md5(string_agg(concat_ws(',', c.user_id, c.device_id, c.campaign_id, c.status, c.duration), ';' order by c.id)) as hash,
            bool_and(d.user_id = c.user_id) as owned
     from calls c join devices d on d.id = c.device_id`,
  );
  const [row] = rows;
  expect(row).toMatchObject({
    calls: '6000',
    users: '10',
    owned: true,
    hash: '74671ef2566411036d024a237f48c601',
  });
  expect(row?.newest.getTime()).toBeLessThan(now);
  expect(row?.oldest.getTime()).toBeGreaterThan(now - 91 * 86_400_000);
});

test('a database that has calls already is left as it is', async () => {
  expect(await seed(pgExecutor(pool), { users: 1, devices: 1, campaigns: 1, calls: 1 }, now)).toBe(0);
});

test('random choices follow their weights and medians', () => {
  const random = createRandom(1);
  const picks = Array.from({ length: 10_000 }, () => weighted(random, [1, 3]));
  expect(picks.filter((pick) => pick === 1).length / picks.length).toBeCloseTo(0.75, 1);
  const durations = Array.from({ length: 10_001 }, () => logNormal(random, 95, 0.9)).toSorted(
    (a, b) => a - b,
  );
  expect(durations[5_000]).toBeGreaterThan(90);
  expect(durations[5_000]).toBeLessThan(100);
});
