import { pgExecutor } from '@cachekit/core/postgres';
import type { Refresher } from '@cachekit/pg-matviews';
import { type RedisServer, startRedis } from '@cachekit/services';
import { useDatabase } from '@cachekit/services/vitest';
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from 'vitest';
import { type PretendBank, pretendBank } from '../doubles/bank.ts';
import { inventCustomers } from '../doubles/customers.ts';
import { invalidations } from '../invalidations.ts';
import { poolOf } from '../pool.ts';
import type { ReconciledPayment, Reconciliation } from '../reconciliation.ts';
import { prepare } from '../run.ts';
import { signatureHeader, signed } from '../server/signature.ts';
import { defaultSettings } from '../settings.ts';
import { type StoryServer, startServer, untilHit } from '../story/server.ts';
import { webhookFor } from '../story/webhook.ts';
import { sync } from '../sync.ts';

const database = useDatabase();
const webhookSecret = 'of the tests';
const bank: PretendBank = pretendBank();
let redis: RedisServer;
let one: StoryServer;
let other: StoryServer;
let computations = 0;
/** The customer system answers when this has resolved. */
let answering: Promise<void> = Promise.resolve();

beforeAll(async () => {
  redis = await startRedis({ own: true });
  await prepare(database.url, { tenants: 4, transactions: 100 });
  const options = {
    databaseUrl: database.url,
    env: { REDIS_URL: redis.url },
    redisTimeout: 2_000,
    bank,
    customers: {
      async customers(tenant: string) {
        await answering;
        return inventCustomers(tenant, 12);
      },
    },
    webhookSecret,
    onStatement(statement: string) {
      if (
        statement.includes('from reconciliation_records') ||
        statement.includes('join reconciliation_records')
      )
        computations++;
    },
  };
  one = await startServer(options);
  other = await startServer(options);
  for (const server of [one, other]) await untilHit(server, '/api/settings', 't1');
});
afterAll(async () => {
  await one?.close();
  await other?.close();
  await poolOf(database.url).end();
  await redis?.stop();
});

function pays(id: string, account: string, date: string, amount: string): void {
  bank.receive({ id, account, date: `${date}T00:00:00`, type: 'CREDIT', amount });
}

describe('no office reaches the entries of another (RC-3)', () => {
  test.each([
    't1:accounts',
    't1}',
    '{t1}',
    '{t1}:accounts',
    't1:*',
    't1:#*',
    '*',
    '#*',
    't1%3Aaccounts',
    '..',
    'T1',
    '__proto__',
  ])('as %s', async (tenant) => {
    await one.ask('/api/accounts');
    expect(await one.ask('/api/accounts', { tenant })).toMatchObject({ cache: 'MISS', body: [] });
    expect((await one.ask('/api/sync', { tenant, body: {} })).status).toBe(202);
    expect(await one.ask('/api/accounts')).toMatchObject({
      cache: 'HIT',
      body: [{ id: 'a1', name: 'Account' }],
    });
  });

  test('and without one nothing is read', async () => {
    expect((await one.ask('/api/accounts', { tenant: '' })).status).toBe(401);
    expect((await one.ask('/api/accounts', { tenant: 't'.repeat(129) })).status).toBe(400);
  });

  test('what an office confirms is its own payment', async () => {
    const body = { payment: '1-3', customer: 't2-c1' };
    expect((await one.ask('/api/reconciliation/confirm', { tenant: 't2', body })).status).toBe(404);
    expect((await one.ask('/api/reconciliation/confirm', { tenant: 't1', body })).status).toBe(202);
  });
});

describe('an entry for each filter (RC-3)', () => {
  test('the same filter in any order is the same entry, and another one is another', async () => {
    const read = async (query: string) =>
      (await one.ask(`/api/transactions?${query}`, { tenant: 't2' })).cache;
    expect(await read('type=CREDIT&from=2026-02-01&page=1')).toBe('MISS');
    expect(await read('from=2026-02-01&type=CREDIT&unknown=7')).toBe('HIT');
    expect(await read('from=2026-02-02&type=CREDIT')).toBe('MISS');
    expect(await read('from=2026-02-01')).toBe('MISS');
  });

  test('a filter lists what it says, by pages', async () => {
    const list = async (query: string) => {
      const { body } = await one.ask(`/api/transactions?${query}`, { tenant: 't2' });
      return (body as { transactions: { id: string; date: string; type: string }[] }).transactions;
    };
    const march = await list('from=2026-03-01&to=2026-03-31&type=DEBIT');
    const { rows } = await pgExecutor(poolOf(database.url)).query(
      `select id from pluggy_transactions where tenant_id = 't2' and type = 'DEBIT'
       and date between '2026-03-01' and '2026-03-31' order by date desc, id`,
    );
    expect(rows.length).toBeGreaterThan(3);
    expect(march.map(({ id }) => ({ id }))).toEqual(rows);
    const pages = [await list('page=1'), await list('page=2'), await list('page=3')];
    expect(pages.map(({ length }) => length)).toEqual([50, 50, 0]);
    expect(new Set(pages.flat().map(({ id }) => id)).size).toBe(100);
  });

  test.each([
    'page=0',
    'page=x',
    'type=OTHER',
    'from=2026-13-01',
    'to=2026-1-1',
    'from=2026-02-30',
    'to=-infinity',
  ])('%s is refused', async (query) => {
    expect((await one.ask(`/api/transactions?${query}`)).status).toBe(400);
  });
});

describe('what the routes answer (RC-7)', () => {
  test('a browser keeps it for itself, apart for each office, and asks whether it still holds', async () => {
    const { headers, body } = await one.ask('/api/settings', { tenant: 't2' });
    expect(headers.get('Cache-Control')).toMatch(/^private, max-age=30\d, stale-while-revalidate=15\d$/);
    expect((headers.get('Vary') ?? '').split(', ')).toEqual(
      expect.arrayContaining(['X-CacheKit-Clock', 'X-Tenant-Id']),
    );
    const etag = headers.get('ETag') ?? '';
    const again = await one.ask('/api/settings', { tenant: 't2', headers: { 'If-None-Match': etag } });
    expect(again).toMatchObject({ status: 304, cache: 'HIT', body: undefined });
    expect(body).toMatchObject({ weights: { cpf: 70 } });
    const head = await fetch(`${one.origin}/api/settings`, {
      method: 'HEAD',
      headers: { 'X-Tenant-Id': 't2' },
    });
    expect([head.status, head.headers.get('X-Cache')]).toEqual([200, 'HIT']);
  });

  test('what is wrong is said: 404, 400', async () => {
    expect((await one.ask('/api/nothing')).status).toBe(404);
    expect((await one.ask('/api/kpis')).status).toBe(400);
    expect((await one.ask('/api/settings', { body: 'no JSON' })).status).toBe(400);
    expect((await one.ask('/api/settings', { body: { cpf: 1 } })).status).toBe(400);
    expect((await one.ask('/api/clients/link', { body: { payerCpf: '1', customer: 'c' } })).status).toBe(400);
    expect((await one.ask('/api/reconciliation?month=0000-01')).status, 'no such year').toBe(400);
    const nul = { payment: 'a\0', customer: 'c' };
    expect(
      (await one.ask('/api/reconciliation/confirm', { body: nul })).status,
      'no text of PostgreSQL',
    ).toBe(400);
    const tenant = 'nobody';
    expect((await one.ask('/api/settings', { tenant, body: defaultSettings.weights })).status).toBe(404);
    const body = { payerCpf: '529.982.247-25', customer: 'c' };
    expect((await one.ask('/api/clients/link', { tenant, body })).status).toBe(404);
  });

  test('what was saved is in the next answer of the other server, by the clock of the first', async () => {
    await other.ask('/api/settings', { tenant: 't3' });
    const weights = { cpf: 1, name: 2, contact: 3, amount: 4, enough: 5 };
    const saved = await one.ask('/api/settings', { tenant: 't3', body: weights });
    const clock = saved.headers.get('X-CacheKit-Clock');
    expect(await other.ask('/api/settings', { tenant: 't3', clock })).toMatchObject({ body: { weights } });
  });
});

test('the events that make something invalid are these, and their parameters are checked by their types (RC-8)', () => {
  expect(invalidations.names).toEqual([
    'settingsSaved',
    'synced',
    'webhookReceived',
    'reconciliationConfirmed',
    'clientLinked',
  ]);
  expectTypeOf(invalidations.apply)
    .parameter(1)
    .toEqualTypeOf<
      'settingsSaved' | 'synced' | 'webhookReceived' | 'reconciliationConfirmed' | 'clientLinked'
    >();
  expectTypeOf(invalidations.of<'synced'>)
    .parameter(1)
    .toEqualTypeOf<{ readonly tenant: string }>();
});

test('weights that were saved decide in the next reconciliation (RC-8)', async () => {
  const path = '/api/reconciliation?month=2026-08';
  const [payer] = inventCustomers('t2', 1);
  bank.receive({
    id: 'weighed',
    account: 'a2',
    date: '2026-08-01T00:00:00',
    type: 'CREDIT',
    amount: '1.00',
    payerCpf: payer?.cpf ?? '',
  });
  await one.ask('/api/sync', { tenant: 't2', body: {} });
  await one.desk.background.idle();
  const totals = async () => ((await one.ask(path, { tenant: 't2' })).body as Reconciliation).totals;
  expect(await totals()).toMatchObject({ matched: 1, open: 0 });
  const body = { ...defaultSettings.weights, enough: 100 };
  expect((await one.ask('/api/settings', { tenant: 't2', body })).status).toBe(202);
  expect(await totals()).toMatchObject({ matched: 0, open: 1 });
});

describe('computed ahead of time (RC-11)', () => {
  const path = '/api/reconciliation?month=2026-09';

  test('who asks meanwhile, at any server, waits for the one computation; then it is there at once', async () => {
    pays('ahead', 'a3', '2026-09-01', '5.00');
    let answer = (): void => {};
    answering = new Promise((resolve) => {
      answer = resolve;
    });
    computations = 0;
    const { body } = await one.ask('/api/sync', { tenant: 't3', body: {} });
    expect(body, 'the sync waits for nothing').toMatchObject({ months: ['2026-09'] });
    await expect.poll(() => computations).toBe(1);
    const asked = [one.ask(path, { tenant: 't3' }), other.ask(path, { tenant: 't3' })];
    answer();
    for (const { body } of await Promise.all(asked)) {
      expect((body as Reconciliation).totals).toEqual({ confirmed: 0, matched: 0, ambiguous: 0, open: 1 });
    }
    await one.desk.background.idle();
    for (const server of [one, other]) expect((await server.ask(path, { tenant: 't3' })).cache).toBe('HIT');
    expect(computations).toBe(1);
  });

  test('what was decided while it was being computed is in the next answer', async () => {
    pays('decided', 'a4', '2026-09-01', '5.00');
    let answer = (): void => {};
    answering = new Promise((resolve) => {
      answer = resolve;
    });
    computations = 0;
    await one.ask('/api/sync', { tenant: 't4', body: {} });
    await expect.poll(() => computations).toBe(1);
    const body = { payment: 'decided', customer: 't4-c1' };
    expect((await one.ask('/api/reconciliation/confirm', { tenant: 't4', body })).status).toBe(202);
    answer();
    await one.desk.background.idle();
    const states = async () =>
      ((await one.ask(path, { tenant: 't4' })).body as Reconciliation).payments.map(
        ({ id, state }: ReconciledPayment) => [id, state],
      );
    expect(await states()).toEqual([['decided', 'confirmed']]);
  });
});

describe('a sync (RC-12)', () => {
  test('leaves nothing old behind, also if somebody reads while it is under way', async () => {
    const path = '/api/kpis?month=2026-12';
    const count = async () =>
      ((await one.ask(path, { tenant: 't3' })).body as { tx_count: number }[])[0]?.tx_count;
    pays('between', 'a3', '2026-12-01', '3.00');
    const { refresher } = one.desk;
    let between: number | undefined = -1;
    const afterSync: Refresher['afterSync'] = async (tables) => {
      between = await count();
      return refresher.afterSync(tables);
    };
    await sync({ ...one.desk, refresher: { ...refresher, afterSync } }, 't3', 'synced');
    expect(between, 'read when it is stored and the indicators are not fresh').toBeUndefined();
    expect(await count()).toBe(1);
  });

  test('beside others of the same office writes each payment once', async () => {
    const count = 200;
    for (let id = 0; id < count; id++) pays(`once-${(id * 7919) % count}`, 'a3', '2027-01-01', '1.00');
    const syncs = Array.from({ length: 6 }, (_, at) =>
      (at % 2 ? one : other).ask('/api/sync', { tenant: 't3', body: {} }),
    );
    const answers = await Promise.all(syncs);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    const written = answers.map(({ body }) => (body as { written: number }).written);
    expect(written.reduce((sum, each) => sum + each)).toBe(count);
    const { body } = await one.ask('/api/kpis?month=2027-01', { tenant: 't3' });
    expect(body).toMatchObject([{ tx_count: count }]);
  });

  test('that fails at the bank changes nothing', async () => {
    await one.ask('/api/accounts', { tenant: 't3' });
    const broken = { transactions: () => Promise.reject(new Error('The bank does not answer')) };
    await expect(sync({ ...one.desk, bank: broken }, 't3', 'synced')).rejects.toThrow('does not answer');
    expect((await one.ask('/api/accounts', { tenant: 't3' })).cache).toBe('HIT');
  });
});

describe('a webhook of the bank (RC-12)', () => {
  test('is carried out if the bank has signed it lately, and never otherwise', async () => {
    pays('hook', 'a2', '2026-10-01', '9.00');
    const now = Date.now();
    const body = JSON.stringify({ account: 'a2' });
    const right = signed(body, webhookSecret, now);
    const send = async (text: string, signature?: string) =>
      (
        await one.ask('/webhooks/bank', {
          body: text,
          headers: signature === undefined ? {} : { [signatureHeader]: signature },
        })
      ).status;
    expect(await send(body)).toBe(401);
    expect(await send(body, '')).toBe(401);
    expect(await send(body, signed(body, 'another', now))).toBe(401);
    expect(await send(body.replace('a2', 'a3'), right)).toBe(401);
    expect(await send(body, signed(body, webhookSecret, now - 301_000))).toBe(401);
    expect(await send(body, right.replace(/t=\d+/, `t=${Math.floor(now / 1_000) + 9}`))).toBe(401);
    expect(await send(body, right.slice(0, -1))).toBe(401);
    expect(await send('[', signed('[', webhookSecret, now))).toBe(400);
    const kpis = async () => (await one.ask('/api/kpis?month=2026-10', { tenant: 't2' })).body;
    expect(await kpis(), 'nothing was stored so far').toEqual([]);
    expect(await send(body, right)).toBe(202);
    expect(await kpis()).toMatchObject([{ type: 'CREDIT', tx_count: 1, total_amount: '9.00' }]);
  });

  test('that is sent twice writes once, and of an account that nobody has is refused', async () => {
    pays('twice', 'a2', '2026-10-02', '1.00');
    const written = async () => (await one.ask('/webhooks/bank', webhookFor('a2', webhookSecret))).body;
    expect(await written()).toMatchObject({ written: 1 });
    expect(await written()).toMatchObject({ written: 0 });
    expect((await one.ask('/webhooks/bank', webhookFor('nobody', webhookSecret))).status).toBe(404);
  });
});

describe('the database (RC-5)', () => {
  test('has one pool for all servers of the process', () => {
    const pool = poolOf(database.url);
    expect(poolOf(database.url)).toBe(pool);
    expect(pool.options).toMatchObject({
      max: 20,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: 10_000,
    });
  });

  test.each([
    [
      'idx_pluggy_tx_tenant_date_type',
      `select from pluggy_transactions where tenant_id = 't1' and date >= '2026-03-01' and type = 'DEBIT'`,
    ],
    [
      'idx_pluggy_tx_tenant_account_date',
      `select from pluggy_transactions where tenant_id = 't1' and pluggy_account_db_id = 'a1' and date > '2026-03-01'`,
    ],
    [
      'idx_recon_tenant_status',
      `select from reconciliation_records where tenant_id = 't1' and status = 'confirmed'`,
    ],
    [
      'idx_client_mapping_tenant_customer',
      `select from client_mappings where tenant_id = 't1' and customer_id = 't1-c1'`,
    ],
  ])('reads by %s', async (index, query) => {
    const { rows } = await pgExecutor(poolOf(database.url)).transaction(async (sql) => {
      // Of so few rows the planner would rather read them all.
      await sql.query('set local enable_seqscan = off');
      return sql.query<{ 'QUERY PLAN': string }>(`explain ${query}`);
    });
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain(index);
  });
});

test('what was dropped while Redis was frozen is dropped when it answers again, also for the other server (RC-1, RC-12)', async () => {
  const path = '/api/kpis?month=2026-11';
  const total = async (server: StoryServer) =>
    ((await server.ask(path, { tenant: 't4' })).body as { total_amount: string }[])[0]?.total_amount;
  expect([await total(one), await total(other)]).toEqual([undefined, undefined]);
  pays('frozen', 'a4', '2026-11-01', '7.00');
  await redis.kill('SIGSTOP');
  try {
    expect((await one.ask('/api/sync', { tenant: 't4', body: {} })).status).toBe(202);
    expect(await total(one)).toBe('7.00');
  } finally {
    await redis.kill('SIGCONT');
  }
  await expect.poll(() => total(other)).toBe('7.00');
  expect(await total(one)).toBe('7.00');
});
