import { createRealtimeClient } from '@cachekit/realtime/client';
import { type RedisServer, startRedis } from '@cachekit/services';
import { useDatabase } from '@cachekit/services/vitest';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { RecentCall, StatisticsDay } from '../page/api.ts';
import { type Running, run } from '../run.ts';
import { writeCall } from '../simulator.ts';
import { type CuttableProxy, cuttableProxy } from './cuttable-proxy.ts';

const database = useDatabase();
const account = '1';
const headers = { 'X-Account-Id': account };
const patience = { timeout: 45_000, interval: 50 };

let redis: RedisServer;
let running: Running;
let line: CuttableProxy;
let heard: Set<string>;
let gaps: number;
let client: ReturnType<typeof createRealtimeClient>;

beforeAll(async () => {
  redis = await startRedis({ own: true });
  running = await run({
    databaseUrl: database.url,
    redis: { REDIS_URL: redis.url },
    page: false,
    size: { users: 3, devices: 12, campaigns: 4, calls: 3_000 },
    onProgress: () => {},
    onTrouble: () => {},
  });
  line = await cuttableProxy(running.origin);
});

beforeEach(async () => {
  heard = new Set();
  gaps = 0;
  client = createRealtimeClient({ url: `${line.origin}/api/events`, headers });
  client.on('call.created', (data) => heard.add((data as { callId: string }).callId));
  client.onGap(() => gaps++);
  client.connect();
  await vi.waitFor(() => expect(client.state).toBe('live'), patience);
  return () => client.close();
});

afterAll(async () => {
  await running?.close();
  await line?.close();
  await redis?.stop();
});

/** Writes a call as any other program would: by SQL, past the application. */
async function insertCall(): Promise<string> {
  return writeCall(running.switchboard.sql, { id: account, user_id: account }, '+1 555 000 0000');
}

async function answer<T>(path: string): Promise<T> {
  const response = await fetch(running.origin + path, { headers });
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

/** What the application answers without a clock, from whatever cache it has, is what the database says. */
async function expectTruth(): Promise<void> {
  const { sql } = running.switchboard;
  await vi.waitFor(async () => {
    const { calls } = await answer<{ calls: RecentCall[] }>('/api/calls?limit=10');
    const truth = await sql.query<{ id: string; status: string }>(
      'select id::text, status from calls where user_id = $1 order by start_time desc, id desc limit 10',
      [account],
    );
    expect(calls.map(({ id, status }) => ({ id, status }))).toEqual(truth.rows);
    const { days } = await answer<{ days: StatisticsDay[] }>('/api/statistics');
    const today = await sql.query<{ total: number }>(
      `select count(*)::int as total from calls where user_id = $1 and start_time >= date_trunc('day', now(), 'UTC')`,
      [account],
    );
    expect(days.at(-1)?.totalCalls).toBe(today.rows[0]?.total);
  }, patience);
}

test('the LISTEN connections are terminated: changes still arrive, and arrive at once again (RT-8)', async () => {
  const { sql } = running.switchboard;
  const { rows } = await sql.query<{ ended: boolean }>(
    `select pg_terminate_backend(pid) as ended from pg_stat_activity
     where datname = current_database() and application_name = 'switchboard listener'`,
  );
  expect(rows.length, 'connections that listened').toBeGreaterThan(0);
  const first = await insertCall();
  await vi.waitFor(() => expect(heard).toContain(first), patience);
  const second = await insertCall();
  await vi.waitFor(() => expect(heard).toContain(second), patience);
  await expectTruth();
});

test('every connection to PostgreSQL is terminated: reads answer again and no change is lost', async () => {
  const { sql } = running.switchboard;
  const before = await insertCall();
  await sql
    .query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    .catch(() => {});
  const after = await vi.waitFor(insertCall, patience);
  await vi.waitFor(() => expect([...heard]).toEqual(expect.arrayContaining([before, after])), patience);
  await expectTruth();
});

test('the line of the browser is cut and stays down for a while: it gets what it missed, once', async () => {
  const seen: string[] = [];
  client.on('call.created', (data) => seen.push((data as { callId: string }).callId));
  line.cut({ refuse: true });
  const missed = [await insertCall(), await insertCall(), await insertCall()];
  line.mend();
  await vi.waitFor(() => expect(seen).toEqual(missed), patience);
  expect(gaps).toBe(1);
  await expectTruth();
});

test('Redis is frozen: reads go to the database without an error, and it is used again when it thaws (PBX-6, RC-1)', async () => {
  await redis.kill('SIGSTOP');
  try {
    const callId = await insertCall();
    await vi.waitFor(async () => {
      const { calls } = await answer<{ calls: RecentCall[] }>('/api/calls?limit=10');
      expect(calls.map(({ id }) => id)).toContain(callId);
    }, patience);
  } finally {
    await redis.kill('SIGCONT');
  }
  await expectTruth();
  const later = await insertCall();
  await vi.waitFor(() => expect(heard).toContain(later), patience);
});

test('Redis is killed and comes back empty: everything heals and ends with what the database says (PBX-6, RC-1)', async () => {
  await answer('/api/calls?limit=10');
  await redis.kill('SIGKILL');
  const down = await insertCall();
  for (let read = 0; read < 3; read++) {
    const { calls } = await answer<{ calls: RecentCall[] }>('/api/calls?limit=10');
    expect(calls.map(({ id }) => id)).toContain(down);
  }
  const gapsBefore = gaps;
  await redis.restart();
  // The log of the tenant is gone with the server, so its listeners are told of a gap or of the change itself.
  await vi.waitFor(() => expect(gaps > gapsBefore || heard.has(down)).toBe(true), patience);
  await expectTruth();
  const up = await insertCall();
  await vi.waitFor(() => expect(heard).toContain(up), patience);
  await expectTruth();
});
