import { createRealtimeClient, type EventOf } from '@cachekit/realtime/client';
import { type RedisServer, startRedis } from '@cachekit/services';
import { useDatabase } from '@cachekit/services/vitest';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { sendCommand } from '../commands.ts';
import type { PbxEvents } from '../events.ts';
import type { DevicesOnline, NewCode, PairingAnswer, SentCommand } from '../page/api.ts';
import { type Running, run } from '../run.ts';

const database = useDatabase();
const patience = { timeout: 30_000, interval: 50 };

let redis: RedisServer;
/** Two servers of the same application. */
let servers: Running[];
let heard: EventOf<PbxEvents>[];
let client: ReturnType<typeof createRealtimeClient<PbxEvents>>;

beforeAll(async () => {
  redis = await startRedis({ own: true });
  servers = [];
  for (let server = 0; server < 2; server++) {
    servers.push(
      await run({
        databaseUrl: database.url,
        redis: { REDIS_URL: redis.url },
        redisTimeout: '2s',
        page: false,
        size: { users: 4, devices: 30, campaigns: 3, calls: 500 },
        deviceTtl: '3s',
        onProgress: () => {},
        onTrouble: () => {},
      }),
    );
  }
  heard = [];
  client = createRealtimeClient<PbxEvents>({
    url: `${server(0).origin}/api/events`,
    headers: { 'X-Account-Id': '1' },
  });
  client.onEvent((event) => heard.push(event));
  client.connect();
  await vi.waitFor(() => expect(client.state).toBe('live'), patience);
});

afterAll(async () => {
  client?.close();
  for (const running of servers ?? []) await running.close();
  await redis?.stop();
});

function server(index: number): Running {
  const running = servers[index % 2];
  if (!running) throw new Error('The servers are not running');
  return running;
}

async function ask<T>(on: number, method: string, path: string, body?: unknown, account = '1') {
  const response = await fetch(server(on).origin + path, {
    method,
    headers: { 'X-Account-Id': account },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as T };
}

async function devicesOf(account: string): Promise<string[]> {
  const { rows } = await server(0).switchboard.sql.query<{ id: string }>(
    'select id::text from devices where user_id = $1 order by devices.id',
    [account],
  );
  return rows.map(({ id }) => id);
}

async function newCode(name = 'Desk phone'): Promise<NewCode> {
  return (await ask<NewCode>(0, 'POST', '/api/pairing/codes', { name })).body;
}

const poll = ({ secret }: NewCode) => ask<PairingAnswer>(1, 'POST', '/api/pairing/token', { secret });

test('of three accounts that type the same code at the same time one gets the device, and agreeing twice adds it once (PBX-10)', async () => {
  const shown = await newCode();
  const { code } = shown;
  expect((await poll(shown)).body).toEqual({ error: 'authorization_pending' });
  expect((await poll(shown)).body, 'asked again at once').toEqual({ error: 'slow_down' });

  const accounts = ['1', '2', '3'];
  const claims = await Promise.all(
    Array.from({ length: 24 }, (_, index) =>
      ask(index, 'POST', '/api/pairing/claim', { code: code.toLowerCase() }, accounts[index % 3]),
    ),
  );
  const winners = new Set(accounts.filter((_, account) => claims[account]?.status === 200));
  expect(winners.size).toBe(1);
  claims.forEach(({ status }, index) => {
    expect(status).toBe(winners.has(accounts[index % 3] ?? '') ? 200 : 409);
  });

  const [winner = ''] = winners;
  const before = await devicesOf(winner);
  const agreed = await Promise.all(
    [0, 1, 0, 1].map((on) => ask<{ deviceId: string }>(on, 'POST', '/api/pairing/confirm', { code }, winner)),
  );
  expect(new Set(agreed.map(({ body }) => body.deviceId)).size).toBe(1);
  expect(await devicesOf(winner)).toEqual([...before, agreed[0]?.body.deviceId]);
  const loser = accounts.find((account) => account !== winner);
  expect((await ask(0, 'POST', '/api/pairing/confirm', { code }, loser)).status).toBe(409);

  await vi.waitFor(
    async () => {
      expect((await poll(shown)).body).toEqual({ account: winner, deviceId: agreed[0]?.body.deviceId });
      // Who asks more often than once a second is only told to slow down.
    },
    { ...patience, interval: 1_200 },
  );
});

test('a device is told that it was refused, and a secret that is none has expired (PBX-10)', async () => {
  const shown = await newCode();
  await ask(0, 'POST', '/api/pairing/claim', { code: shown.code });
  expect((await ask(1, 'POST', '/api/pairing/deny', { code: shown.code })).status).toBe(200);
  expect(await poll(shown)).toMatchObject({ status: 400, body: { error: 'access_denied' } });
  expect((await poll({ ...shown, secret: 'guessed' })).body).toEqual({ error: 'expired_token' });
});

test('an account that does not exist gets no device (PBX-10)', async () => {
  const { code } = await newCode();
  expect((await ask(0, 'POST', '/api/pairing/claim', { code }, '999')).status).toBe(200);
  expect((await ask(1, 'POST', '/api/pairing/confirm', { code }, '999')).status).toBe(409);
});

test('who guesses codes is locked out, over both servers, and told for how long (PBX-10)', async () => {
  for (let guess = 0; guess < 10; guess++) {
    const { status } = await ask(guess, 'POST', '/api/pairing/claim', { code: 'BBBBBBBB' }, '4');
    expect(status).toBe(404);
  }
  const { code } = await newCode();
  const locked = await ask(1, 'POST', '/api/pairing/claim', { code }, '4');
  expect(locked.status).toBe(429);
  expect(Number(locked.headers.get('Retry-After'))).toBeGreaterThan(500);
  expect((await ask(1, 'POST', '/api/pairing/claim', { code }, '2')).status, 'somebody else').toBe(200);
});

test('a device that is silent drops out by itself while another stays, and each is told once (PBX-12)', async () => {
  const [silent = '', faithful = ''] = await devicesOf('1');
  const of = (deviceId: string) =>
    heard.filter(
      ({ type, data }) => type.startsWith('device.o') && 'deviceId' in data && data.deviceId === deviceId,
    );
  const beat = (on: number, deviceId: string) => ask(on, 'PUT', `/api/devices/${deviceId}/presence`);
  await beat(0, silent);
  await vi.waitFor(async () => {
    // Both servers see the device that stays, and neither sees to the other one.
    await beat(heard.length, faithful);
    expect(of(silent).map(({ type }) => type)).toEqual(['device.online', 'device.offline']);
  }, patience);
  expect(of(silent)[1]?.data).toEqual({ deviceId: silent, reason: 'timeout' });
  expect(of(faithful).map(({ type }) => type)).toEqual(['device.online']);
  await beat(0, faithful);
  const { body } = await ask<DevicesOnline>(1, 'GET', '/api/presence');
  expect(body.devices.filter(({ online }) => online).map(({ id }) => id)).toEqual([faithful]);
  expect(body.online).toBe(1);

  await ask(1, 'DELETE', `/api/devices/${faithful}/presence`);
  await vi.waitFor(() => expect(of(faithful)).toHaveLength(2), patience);
  expect(of(faithful)[1]?.data).toEqual({ deviceId: faithful, reason: 'leave' });
});

test('a device of another account is none: it is not seen, and gets no command (PBX-11, PBX-12)', async () => {
  const [theirs = ''] = await devicesOf('2');
  expect((await ask(0, 'PUT', `/api/devices/${theirs}/presence`)).status).toBe(404);
  expect((await ask(0, 'POST', `/api/devices/${theirs}/commands`, { command: 'ring' })).status).toBe(404);
  expect((await ask<DevicesOnline>(0, 'GET', '/api/presence', undefined, '2')).body.online).toBe(0);
});

test('two servers share the ten commands of a minute, and send them one at a time in the order of their tokens (PBX-11)', async () => {
  const device = (await devicesOf('1')).at(-1) ?? '';
  const answers = await Promise.all(
    Array.from({ length: 14 }, (_, index) =>
      ask<SentCommand>(index, 'POST', `/api/devices/${device}/commands`, { command: 'ring' }),
    ),
  );
  const sent = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 429);
  expect([sent.length, refused.length]).toEqual([10, 4]);
  for (const { headers } of refused) expect(Number(headers.get('Retry-After'))).toBeGreaterThan(50);

  const tokens = sent.map(({ body }) => body.fencingToken).toSorted((a, b) => a - b);
  const told = () =>
    heard.flatMap((event) =>
      event.type === 'device.command' && event.data.deviceId === device ? [event.data.fencingToken] : [],
    );
  await vi.waitFor(() => expect(told()).toHaveLength(10), patience);
  expect(told(), 'as the device gets them').toEqual(tokens);
  const log = await ask<{ commands: SentCommand[] }>(1, 'GET', `/api/devices/${device}/commands`);
  expect(log.body.commands.map(({ fencingToken }) => fencingToken).toReversed(), 'in the log').toEqual(
    tokens,
  );
});

test('while one command is on its way no other is, whatever the server (PBX-11)', async () => {
  const [device = ''] = await devicesOf('1');
  let underWay = 0;
  let most = 0;
  const slowHub = {
    async publish() {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 20));
      underWay--;
      return { appended: 1, repeated: 0 };
    },
  };
  const sending = Array.from({ length: 8 }, (_, index) => {
    const { locks } = server(index).switchboard;
    return sendCommand({ locks, hub: slowHub, log: undefined }, '1', device, 'restart');
  });
  expect((await Promise.all(sending)).every((sent) => sent !== undefined)).toBe(true);
  expect(most).toBe(1);
});

test('a command that is none, and a device without a name, are refused', async () => {
  const [device = ''] = await devicesOf('1');
  for (const body of [undefined, {}, { command: 'explode' }, 'ring', null])
    expect((await ask(0, 'POST', `/api/devices/${device}/commands`, body)).status).toBe(400);
  for (const name of ['', ' ', '\0', 'x'.repeat(41), 7])
    expect((await ask(0, 'POST', '/api/pairing/codes', { name })).status).toBe(400);
});
