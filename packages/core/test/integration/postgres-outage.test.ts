import { createListener, outboxSource, pgExecutor } from '@cachekit/core/postgres';
import { type PostgresServer, startPostgres } from '@cachekit/services';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { committed, installWork, poolOf, Recorder, sorted } from './outbox-fixture.ts';

const deadline = { timeout: 25_000, interval: 20 };
let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

test('a listener finds a frozen server, reconnects when it is back, and hears again', async () => {
  const states: string[] = [];
  const errors: unknown[] = [];
  const heard: string[] = [];
  const listener = createListener({
    connect: () => new pg.Client({ connectionString: server.url }),
    health: { every: 50, timeout: 300 },
  });
  listener.onState((state) => states.push(state));
  listener.onError((error) => errors.push(error));
  await listener.listen('news', (payload) => heard.push(payload));
  expect(states).toEqual(['ready']);

  await server.kill('SIGSTOP');
  await expect.poll(() => states, deadline).toEqual(['ready', 'lost']);
  expect(errors.length).toBeGreaterThan(0);
  await server.kill('SIGCONT');
  await expect.poll(() => states, deadline).toEqual(['ready', 'lost', 'ready']);

  const pool = poolOf(server.url);
  await pool.query("notify news, 'again'");
  await expect.poll(() => heard, deadline).toEqual(['again']);
  await pool.end();
  await listener.close();
});

test('after PostgreSQL crashed and came back, the source goes on, loses nothing and is woken again', async () => {
  let pool = poolOf(server.url);
  await installWork(pool);
  const listener = createListener({
    connect: () => new pg.Client({ connectionString: server.url }),
    health: { every: 200, timeout: 1_000 },
  });
  const recorder = new Recorder();
  const sourcePool = poolOf(server.url);
  const source = outboxSource({
    sql: pgExecutor(sourcePool),
    listener,
    outbox: 'change',
    timing: { poll: '1h', takeover: '5s' },
  });
  // A crash between the delivery of a change and its acknowledgement has it delivered again.
  const heard = () => new Set(recorder.seen);
  await source.start(recorder);
  await pool.query('insert into work values (1, 0)');
  await expect.poll(() => heard().size, deadline).toBe(1);

  await server.kill('SIGKILL');
  await server.restart();
  await pool.end();
  pool = poolOf(server.url);
  await pool.query('insert into work values (2, 0)');
  await expect.poll(() => heard().size, deadline).toBe(2);
  // The flag is in an unlogged table, which the crash emptied.
  await expect
    .poll(async () => (await pool.query('select from cachekit.wake where armed')).rowCount, deadline)
    .toBe(1);
  await pool.query('insert into work values (3, 0)');
  await expect.poll(() => heard().size, deadline).toBe(3);
  expect(sorted([...heard()])).toEqual(await committed(pool));

  await source.stop();
  await listener.close();
  await sourcePool.end();
  await pool.end();
});

test('a source that starts while PostgreSQL is away starts when it is back', async () => {
  const pool = poolOf(server.url);
  const source = outboxSource({
    sql: pgExecutor(pool),
    outbox: 'change',
    name: 'early',
    timing: { poll: 20 },
  });
  const recorder = new Recorder();
  await server.kill('SIGKILL');
  let started = false;
  const starting = source.start(recorder).then(() => {
    started = true;
  });
  await expect.poll(() => recorder.errors.length, deadline).toBeGreaterThan(1);
  expect(started).toBe(false);
  await server.restart();
  await starting;
  await pool.query('insert into work values (10, 0)');
  await expect.poll(() => recorder.changes.length, deadline).toBe(1);
  await source.stop();
  await pool.end();
});
