import { type RedisServer, startRedis } from '@cachekit/services';
import { useDatabase } from '@cachekit/services/vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { play } from '../story/play.ts';
import type { Table } from '../story/table.ts';

const database = useDatabase();
const tables: Table[] = [];
let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis({ own: true });
  const size = { tenants: 3, transactions: 200, customers: 60 };
  await play({ databaseUrl: database.url, redis, size }, (table) => tables.push(table));
});
afterAll(async () => {
  await redis?.stop();
});

/** The columns of the table of which the title says so much. */
function columnsOf(title: string, ...names: string[]): (string | undefined)[][] {
  const table = tables.find((one) => one.title.includes(title));
  if (!table) throw new Error(`There is no table of ${title}`);
  return table.rows.map((row) => names.map((name) => row[table.head.indexOf(name)]));
}

test('the application runs without Redis, with one by its address and with one at Upstash, and connects at the first read (RC-1)', () => {
  const columns = ['connections of two servers', 'GET accounts', 'again', 'at the other'];
  expect(columnsOf('chosen by the environment', ...columns)).toEqual([
    ['0', 'MISS', 'HIT', 'MISS'],
    ['0', 'MISS', 'HIT', 'HIT'],
    ['0', 'MISS', 'HIT', 'HIT'],
  ]);
  const after = columnsOf('chosen by the environment', 'connections then').map(
    ([count]) => Number(count) > 0,
  );
  expect(after).toEqual([false, true, true]);
});

test('every resource has its key and its lifetime, is read once, and is then there at every server (RC-3, RC-7)', () => {
  const columns = [
    'server A',
    'again',
    'server B',
    'statements',
    'max-age',
    'stale-while-revalidate',
    'key in Redis',
  ];
  // Counted from when the load began: one that takes a second adds it.
  const seconds = (ttl: string) => expect.stringMatching(new RegExp(`^${ttl.slice(0, -1)}\\d$`));
  const hash = (name: string) =>
    expect.stringMatching(new RegExp(`^ck:c:tenant:\\{t1\\}:${name}:[\\w-]{22}$`));
  expect(columnsOf('What an office reads', ...columns)).toEqual([
    ['MISS', 'HIT', 'HIT', '1, 0, 0', seconds('300'), seconds('150'), 'ck:c:tenant:{t1}:settings'],
    ['MISS', 'HIT', 'HIT', '1, 0, 0', seconds('120'), seconds('60'), 'ck:c:tenant:{t1}:accounts'],
    ['MISS', 'HIT', 'HIT', '1, 0, 0', seconds('60'), seconds('30'), hash('txns')],
    ['MISS', 'HIT', 'HIT', '0, 0, 0', seconds('600'), seconds('300'), 'ck:c:tenant:{t1}:customers'],
    ['MISS', 'HIT', 'HIT', '3, 0, 0', seconds('30'), seconds('15'), hash('recon')],
    ['MISS', 'HIT', 'HIT', '1, 0, 0', seconds('120'), seconds('60'), hash('kpis')],
  ]);
  const asked = columnsOf('What an office reads', 'customer system').flat();
  expect(asked, 'the reconciliation has the customers from the cache').toEqual([
    '0',
    '0',
    '0',
    '1',
    '0',
    '0',
  ]);
});

test('a module with keys as text shares its entries with the routes, either way (RC-2)', () => {
  expect(columnsOf('keys as text', 'it found', 'digest', 'then GET /api/accounts')).toEqual([
    ['HIT', 'Accounts: a1', 'HIT'],
    ['MISS', 'Accounts: a2', 'HIT'],
  ]);
});

test('after a sync the indicators are fresh, the office reads MISS, then HIT, the reconciliation is there before it is asked for, and no other office notices (RC-11, RC-12)', () => {
  const totals = '"confirmed":0,"matched":40,"ambiguous":10,"open":10';
  const webhookTotals = '"confirmed":0,"matched":40,"ambiguous":10,"open":11';
  expect(columnsOf('From the bank', 'at', 'what was answered', 'statements')).toEqual([
    ['A  GET /api/transactions', 'MISS, the newest is 1-153', '1'],
    ['A  GET /api/transactions of t2', 'MISS, the newest is 2-153', '1'],
    ['A  POST /api/sync', '202 {"fetched":60,"written":60,"months":["2026-07"]}', ''],
    ['B  event sync_complete', '{"transactions":60}', ''],
    ['B  event reconciliation_ready', `{"month":"2026-07","totals":{${totals}}}`, ''],
    ['A  GET /api/reconciliation?month=2026-07', `HIT, {${totals}}`, '0'],
    ['B  GET /api/reconciliation?month=2026-07', `HIT, {${totals}}`, '0'],
    ['B  GET /api/transactions', 'MISS, the newest is a1-2026-07-27', '1'],
    ['B  GET /api/transactions', 'HIT, the newest is a1-2026-07-27', '0'],
    ['B  GET /api/kpis?month=2026-07', expect.stringMatching(/^MISS, CREDIT 60 of \d+\.00$/), '1'],
    ['A  GET /api/transactions of t2', 'HIT, the newest is 2-153', '0'],
    ['A  POST /webhooks/bank', '401 {"error":"The signature is wrong or old"}', ''],
    ['A  POST /webhooks/bank', '202 {"fetched":61,"written":1,"months":["2026-07"]}', ''],
    ['B  event sync_complete', '{"transactions":1}', ''],
    ['B  event reconciliation_ready', `{"month":"2026-07","totals":{${webhookTotals}}}`, ''],
    ['B  GET /api/transactions', 'MISS, the newest is pix-after-the-sync', '1'],
  ]);
});

test('a payment is found by CPF, by a misspelt name, by amount and by a phone; a person decides the others (RC-11)', () => {
  expect(columnsOf('Whose the payments are', 'state', 'because of')).toEqual([
    ['matched', 'cpf, name, amount'],
    ['matched', 'cpf, amount'],
    ['matched', 'name, amount'],
    ['matched', 'contact, amount'],
    ['open', '-'],
    ['ambiguous', 'name, amount'],
    ['matched', 'link'],
    ['confirmed', '-'],
  ]);
});

test('each event makes invalid what its row of the table says, of one office (RC-8)', () => {
  const columns = [
    'event',
    'settings',
    'accounts',
    'txns',
    'customers',
    'recon',
    'kpis',
    'all of another office',
  ];
  const all = Array.from({ length: 6 }, () => 'MISS');
  expect(columnsOf('What becomes invalid', ...columns)).toEqual([
    ['settingsSaved', 'MISS', 'HIT', 'HIT', 'HIT', 'MISS', 'HIT', 'HIT'],
    ['reconciliationConfirmed', 'HIT', 'HIT', 'HIT', 'HIT', 'MISS', 'HIT', 'HIT'],
    ['clientLinked', 'HIT', 'HIT', 'HIT', 'HIT', 'MISS', 'HIT', 'HIT'],
    ['synced', ...all, 'HIT'],
    ['webhookReceived', ...all, 'HIT'],
  ]);
});

test('nothing personal is to be read in Redis, and where nothing is encrypted it is', () => {
  expect(columnsOf('How many entries', 'with the CPF', 'with the phone', 'with the name')).toEqual([
    ['0', '0', '0'],
    ['1', '1', '1'],
  ]);
});

test('without Redis a sync and every read are answered rightly, and it is used again when it is back (RC-1)', () => {
  expect(columnsOf('Redis is killed', 'Redis', 'asked', 'answer')).toEqual([
    ['up', 'GET /api/kpis?month=2026-08', '200 MISS'],
    ['up', 'GET /api/kpis?month=2026-08', '200 HIT'],
    ['down', 'GET /api/kpis?month=2026-08', '200 MISS'],
    ['down', 'POST /api/sync', '202'],
    ['down', 'GET /api/kpis?month=2026-08: 88.00', '200 MISS'],
    ['back', 'GET /api/kpis?month=2026-08', '200 HIT'],
  ]);
});
