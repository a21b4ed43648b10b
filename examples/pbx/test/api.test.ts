import type { SqlExecutor } from '@cachekit/core';
import { type RedisServer, startRedis } from '@cachekit/services';
import { useDatabase } from '@cachekit/services/vitest';
import { serve } from '@hono/node-server';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { OperationsReport } from '../operations.ts';
import type { CacheReport, DevicesOnline, EndedCall, LiveCount } from '../page/api.ts';
import { type Running, run } from '../run.ts';
import { createApp } from '../server/app.ts';

const database = useDatabase();
const patience = { timeout: 30_000, interval: 50 };

let redis: RedisServer;
let running: Running;

beforeAll(async () => {
  redis = await startRedis({ own: true });
  running = await run({
    databaseUrl: database.url,
    redis: { REDIS_URL: redis.url },
    // Long enough for a machine that stands still for a moment.
    redisTimeout: '2s',
    page: false,
    size: { users: 6, devices: 12, campaigns: 4, calls: 2_000 },
    onProgress: () => {},
    onTrouble: () => {},
  });
});
afterAll(async () => {
  await running?.close();
  await redis?.stop();
});

function ask(account: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(running.origin + path, { ...init, headers: { 'X-Account-Id': account } });
}

async function json<T>(account: string, path: string): Promise<T> {
  const response = await ask(account, path);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

test('whatever is read a second time is read without the database (PBX-6, PBX-7, PBX-9)', async () => {
  const { sql } = running.switchboard;
  const asked: string[] = [];
  const counting: SqlExecutor = {
    query: (text, parameters) => {
      asked.push(text);
      return sql.query(text, parameters);
    },
    transaction: (work) => sql.transaction(work),
  };
  const app = createApp({ ...running.switchboard, sql: counting }, () => {});
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  try {
    const paths = app.routes.filter(({ method, path }) => method === 'GET' && path !== '/api/events');
    expect(paths.length).toBeGreaterThan(9);
    for (const round of ['first', 'second']) {
      asked.length = 0;
      for (const { path } of paths) {
        const { status } = await fetch(`http://127.0.0.1:${port}${path.replace(/:id\{.*?\}(?=\/|$)/, '1')}`, {
          headers: { 'X-Account-Id': '2' },
        });
        expect(status, path).toBe(200);
      }
      if (round === 'first') expect(asked.length).toBeGreaterThan(4);
      else expect(asked).toEqual([]);
    }
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('an account that is added or renamed is in the list of accounts (PBX-13)', async () => {
  const { sql } = running.switchboard;
  const names = async () =>
    (await json<{ accounts: { name: string }[] }>('1', '/api/accounts')).accounts.map(({ name }) => name);
  expect((await names()).length).toBe(6);
  await sql.query(`insert into users (name) values ('Newcomer')`);
  await vi.waitFor(async () => expect(await names()).toContain('Newcomer'), patience);
  await sql.query(`update users set name = 'Regular' where name = 'Newcomer'`);
  await vi.waitFor(async () => expect(await names()).toContain('Regular'), patience);
});

test('what a browser keeps of one account is none of another (RC-3, RC-7)', async () => {
  const { headers } = await ask('1', '/api/calls?limit=5');
  expect(headers.get('Cache-Control')).toMatch(/^private, max-age=/);
  const vary = (headers.get('Vary') ?? '').split(/\s*,\s*/);
  expect(vary).toEqual(expect.arrayContaining(['X-CacheKit-Clock', 'X-Account-Id']));
});

test('every answer tells both limits, of the account and of the route, and of no other account (RC-4)', async () => {
  const left = async (account: string, path: string) => {
    const { headers } = await ask(account, path);
    expect(headers.get('RateLimit-Policy')).toBe('"api";q=3000;w=60, "route";q=1200;w=60');
    expect(headers.get('X-RateLimit-Limit')).toMatch(/^\d+$/);
    const [, api, route] = /^"api";r=(\d+).*"route";r=(\d+)/.exec(headers.get('RateLimit') ?? '') ?? [];
    return { api: Number(api), route: Number(route) };
  };
  const first = await left('3', '/api/campaigns');
  expect((await left('3', '/api/campaigns')).route).toBe(first.route - 1);
  expect((await left('3', '/api/devices')).route, 'another route').toBe(first.route);
  expect((await left('4', '/api/campaigns')).route, 'another account').toBe(first.route);
});

test('sixty calls a minute are placed and the sixty-first is answered with 429, whoever else calls (RC-4)', async () => {
  const place = (account: string) => ask(account, '/api/calls', { method: 'POST' });
  const answers: Response[] = [];
  for (let round = 0; round < 16; round++) {
    answers.push(...(await Promise.all(Array.from({ length: 4 }, () => place('5')))));
  }
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(60);
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(4);
  for (const response of refused) {
    expect(response.headers.get('Content-Type')).toBe('application/problem+json');
    expect(response.headers.get('X-RateLimit-Limit')).toBe('60');
    expect(response.headers.get('X-RateLimit-Remaining')).toBe('0');
    expect(Number(response.headers.get('X-RateLimit-Reset'))).toBeGreaterThan(0);
    expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect(await response.json()).toMatchObject({ status: 429, 'violated-policies': ['calls'] });
  }
  expect((await ask('5', '/api/statistics')).status, 'another route').toBe(200);
  expect((await place('6')).status, 'another account').toBe(201);
});

test('live counters count what is committed, also by plain SQL, and of the account alone (PBX-15)', async () => {
  const { sql } = running.switchboard;
  await sql.query(
    `insert into calls (user_id, phone_number, status) select 4, '+1', 'ringing' from generate_series(1, 30)`,
  );
  await sql.query(`update calls set status = 'answered' where user_id = 4 and status = 'ringing'`);
  await sql.query(
    `update calls set duration = 1 where user_id = 4 and status = 'answered' and duration is null`,
  );
  await vi.waitFor(async () => {
    const { counters } = await json<{ counters: LiveCount[] }>('4', '/api/counters');
    expect(counters.map(({ name, total }) => [name, total])).toEqual([
      ['placed', 30],
      ['answered', 30],
      ['failed', 0],
    ]);
    for (const { series, total } of counters) {
      expect(series).toHaveLength(60);
      expect(series.reduce((sum, count) => sum + count, 0)).toBe(total);
    }
  }, patience);
  const { counters } = await json<{ counters: LiveCount[] }>('3', '/api/counters');
  expect(counters.map(({ total }) => total)).toEqual([0, 0, 0]);
});

test('the history has the last calls that ended, the newest first, of each account its own (CRM-5)', async () => {
  const { sql } = running.switchboard;
  const ended: string[] = [];
  for (let call = 0; call < 12; call++) {
    const { rows } = await sql.query<{ id: string }>(
      `insert into calls (user_id, phone_number, status) values (3, '+1 555', 'ringing') returning id::text`,
    );
    ended.push(rows[0]?.id ?? '');
    const status = call % 3 === 0 ? 'failed' : 'completed';
    await sql.query('update calls set status = $2, duration = $3 where id = $1', [ended[call], status, call]);
  }
  await vi.waitFor(async () => {
    const { calls } = await json<{ calls: EndedCall[] }>('3', '/api/history');
    expect(calls.map(({ id }) => id)).toEqual(ended.toReversed().slice(0, 8));
    expect(calls[0]).toMatchObject({ status: 'completed', durationSeconds: 11, phoneNumber: '+1 555' });
  }, patience);
  expect((await json<{ calls: EndedCall[] }>('2', '/api/history')).calls).toEqual([]);
});

test('a call is ended once, and by its own account (PBX-13)', async () => {
  const { callId } = (await (await ask('6', '/api/calls', { method: 'POST' })).json()) as { callId: string };
  const end = async (account: string) =>
    (await ask(account, `/api/calls/${callId}/end`, { method: 'POST' })).status;
  expect(await end('1')).toBe(404);
  expect(await end('6')).toBe(200);
  expect(await end('6')).toBe(404);
});

test('the metrics have hits, misses and rates per resource, memory and clients of Redis, and a reset (CRM-6)', async () => {
  await ask('1', '/api/v1/cache/metrics', { method: 'DELETE' });
  for (let read = 0; read < 4; read++) await ask('1', '/api/campaigns');
  const { cache, redis } = await json<CacheReport>('1', '/api/v1/cache/metrics');
  expect(cache.campaigns).toMatchObject({ totalRequests: 4 });
  const { hits = 0, misses = 0, hitRate } = cache.campaigns ?? {};
  expect(hits + misses).toBe(4);
  expect(hitRate).toBe((100 * hits) / 4);
  expect(redis?.memory.usedMemoryHuman).toMatch(/^\d.*[BKMG]$/);
  expect(redis?.stats.connectedClients).toBeGreaterThan(0);
  await ask('1', '/api/v1/cache/metrics', { method: 'DELETE' });
  expect((await json<CacheReport>('1', '/api/v1/cache/metrics')).cache.campaigns?.totalRequests).toBe(0);
});

test('a low hit rate raises an alert, and a better one clears it; the pool and advice stand beside it (CRM-1, CRM-7, PBX-14)', async () => {
  const { cache, operations } = running.switchboard;
  cache.resetMetrics();
  for (let limit = 1; limit <= 100; limit++) await ask('1', `/api/calls?limit=${limit}`);
  await operations.alerts.check();
  const raised = await json<OperationsReport>('1', '/api/operations');
  expect(raised.alerts).toMatchObject([{ kind: 'hit-rate', threshold: 60 }]);
  expect(raised.pool).toMatchObject({ max: 20, waiting: 0 });
  expect(raised.advice).toMatchObject([{ resource: 'recentCalls', ttlMs: 60_000 }]);
  expect(raised.advice[0]?.advisedTtlMs).toBeGreaterThan(60_000);
  expect(raised.limits.commands).toMatchObject({ denied: 0 });

  for (let read = 0; read < 300; read++) await ask('1', '/api/campaigns');
  await operations.alerts.check();
  const cleared = await json<OperationsReport>('1', '/api/operations');
  expect(cleared.alerts).toEqual([]);
  expect(cleared.notices.map(({ type, kind }) => [type, kind])).toEqual([
    ['cleared', 'hit-rate'],
    ['raised', 'hit-rate'],
  ]);
});

test('while Redis is away the parts that need it say so, and reads and calls go on (RC-1, PBX-6)', async () => {
  await redis.kill('SIGKILL');
  for (const path of ['/api/counters', '/api/history']) expect((await ask('1', path)).status).toBe(503);
  const { online, devices } = await json<DevicesOnline>('1', '/api/presence');
  expect(online).toBeNull();
  expect(devices.length).toBeGreaterThan(0);
  expect((await ask('1', '/api/calls', { method: 'POST' })).status).toBe(201);
  expect((await json<CacheReport>('1', '/api/v1/cache/metrics')).redis).toBeNull();
  await redis.restart();
  await vi.waitFor(async () => expect((await ask('1', '/api/counters')).status).toBe(200), patience);
});
