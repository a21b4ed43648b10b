import { createMemoryLocks, withLock } from '@cachekit/core';
import { fencedTransaction, installFences, pgExecutor } from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

describe('fencedTransaction()', () => {
  const database = useDatabase();
  let pool: pg.Pool;

  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: database.url });
    const sql = pgExecutor(pool);
    await Promise.all([installFences(sql), installFences(sql)]);
    await installFences(sql);
    await pool.query('create table report (id int primary key, body text not null)');
  });
  beforeEach(async () => {
    await pool.query(`truncate cachekit.fence, report; insert into report values (1, 'empty')`);
  });
  afterAll(() => pool.end());

  const write = (fencingToken: number, body: string): Promise<unknown> =>
    fencedTransaction(pgExecutor(pool), { name: 'report', fencingToken }, (transaction) =>
      transaction.query('update report set body = $1 where id = 1', [body]),
    );
  const body = async (): Promise<unknown> => (await pool.query('select body from report')).rows[0]?.body;

  it('a holder that paused until another one had written is refused, and nothing of it is written', async () => {
    await write(1_750_000_000_000_001, 'first');
    await write(1_750_000_000_000_001, 'first again');
    await write(1_750_000_000_000_002, 'second');
    await expect(write(1_750_000_000_000_001, 'late')).rejects.toMatchObject({
      code: 'LOCK_LOST',
      key: 'report',
      fencingToken: 1_750_000_000_000_001,
    });
    expect(await body()).toBe('second');
  });

  it('a pause of longer than the lock lives, between the check of the lock and the write, does no harm', async () => {
    const locks = createMemoryLocks();
    const paused = await locks.lock('report', { ttl: 50, renew: false });
    const next = await withLock(locks, 'report', { ttl: '10s', wait: '10s' }, ({ fencingToken }) =>
      write(fencingToken, 'by the next'),
    );
    expect(next).toMatchObject({ acquired: true, outcome: 'released' });
    await expect(write(paused?.fencingToken as number, 'by the paused')).rejects.toMatchObject({
      code: 'LOCK_LOST',
    });
    expect(await body()).toBe('by the next');
  });

  it('two that write at the same time end with the greater token, whoever was first', async () => {
    for (const order of [
      [1, 2],
      [2, 1],
    ] as const) {
      await pool.query('truncate cachekit.fence');
      await Promise.allSettled(order.map((token) => write(token, `by ${token}`)));
      expect(await body()).toBe('by 2');
    }
  });

  it('what the work throws passes unchanged, and its token leaves no trace', async () => {
    const error = new Error('of the work');
    const failing = fencedTransaction(pgExecutor(pool), { name: 'report', fencingToken: 9 }, () =>
      Promise.reject(error),
    );
    await expect(failing).rejects.toBe(error);
    await write(8, 'written');
    expect(await body()).toBe('written');
  });

  it('refuses names and tokens that are none', async () => {
    const sql = pgExecutor(pool);
    for (const fence of [
      { name: '', fencingToken: 1 },
      { name: 'a', fencingToken: 0 },
      { name: 'a', fencingToken: 1.5 },
      { name: 'a', fencingToken: Number.NaN },
    ]) {
      await expect(fencedTransaction(sql, fence, async () => {})).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });
});
