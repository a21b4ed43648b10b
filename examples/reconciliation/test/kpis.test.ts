import {
  type CacheTag,
  createCache,
  createChangePipeline,
  defineKeys,
  invalidateStage,
  resource,
  type SqlExecutor,
} from '@cachekit/core';
import { pgExecutor, sharedPool } from '@cachekit/core/postgres';
import {
  createDoctor,
  createRefresher,
  createViews,
  type RefreshedEvent,
  refreshSource,
} from '@cachekit/pg-matviews';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { kpisForTenant, type TenantKpi } from '../kpis.ts';
import { seed } from '../seed.ts';
import { saveTransactions } from '../sync.ts';
import { allTenantsKpis, tenantKpis } from '../views.ts';

const views = [tenantKpis, allTenantsKpis];
const database = useDatabase();
const bare = useDatabase();
let pool: pg.Pool;
let sql: SqlExecutor;

beforeAll(async () => {
  pool = sharedPool(() => new pg.Pool({ connectionString: database.url, max: 20 }), database.url);
  sql = pgExecutor(pool);
  await seed(sql, { tenants: 5, transactions: 300 });
  await createViews({ sql, views }).apply();
});
afterAll(async () => {
  await pool?.end();
});

const rows = async (query: string): Promise<Record<string, unknown>[]> => (await pool.query(query)).rows;

/** What the tables say, written once more and in another way. */
const truth = `select tenant_id, to_char(month, 'YYYY-MM') as month, type, count(*)::int as tx_count, sum(amount) as total_amount,
  round(avg(amount), 2) as avg_amount, sum(case when ignored then 0 else 1 end)::int as active_tx_count,
  sum(case when not ignored then amount end) as active_total_amount
  from (select *, make_date(extract(year from date)::int, extract(month from date)::int, 1) as month from pluggy_transactions) t
  group by 1, 2, 3`;
const shown = (
  view: string,
): string => `select tenant_id, to_char(month, 'YYYY-MM') as month, type, tx_count, total_amount, avg_amount,
  active_tx_count, active_total_amount from ${view}`;

async function expectTrue(view: string): Promise<void> {
  expect(
    await rows(`(${shown(view)} except all (${truth})) union all ((${truth}) except all ${shown(view)})`),
  ).toEqual([]);
}

describe.each([
  ['kept by the group', tenantKpis],
  ['refreshed as a whole', allTenantsKpis],
] as const)('the indicators of tenants, %s', (_, view) => {
  it('are what the transactions say after a sync, a correction, a moved month and an ignored one (RC-6)', async () => {
    const refresher = createRefresher({ sql, views: [view] });
    await saveTransactions(sql, refresher, 't1', [
      { id: 'new', account: 'a1', date: '2026-07-31T23:59:59', type: 'CREDIT', amount: '10.10' },
      { id: '1-1', account: 'a1', date: '2026-03-01T00:00:00', type: 'DEBIT', amount: '99.99' },
    ]);
    await expectTrue(view.name);
    await pool.query(`update pluggy_transactions set ignored = true where id = 'new'`);
    await refresher.waitFresh(view.name);
    await expectTrue(view.name);
    await pool.query(`delete from pluggy_transactions where id = 'new'`);
    await refresher.waitFresh(view.name);
    await expectTrue(view.name);
    expect(await rows(`select * from ${view.name} where month = '2026-07-01'`)).toEqual([]);
  });

  it('have one row per tenant, month and type, by a unique index (RC-6)', async () => {
    const [index] = await rows(
      `select array_agg(a.attname::text order by k.at)::text as columns from pg_index x
       cross join lateral unnest(x.indkey) with ordinality k (attnum, at)
       join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
       where x.indisunique and x.indpred is null
         and x.indrelid = '${view.kind === 'rollup' ? `cachekit.${view.name}__v1` : view.name}'::regclass`,
    );
    expect(index).toEqual({ columns: '{tenant_id,month,type}' });
  });
});

it('the doctor finds nothing wrong with these views', async () => {
  const found = await createDoctor({ sql, views }).examine();
  expect(found.map(({ defect, object }) => [defect, object])).toEqual([]);
});

it('a whole refresh is CONCURRENTLY, and a reader of the view does not wait for it (RC-6)', async () => {
  const refresher = createRefresher({ sql, views: [allTenantsKpis] });
  const done: RefreshedEvent[] = [];
  refresher.on('refreshed', (event) => done.push(event));
  const reader = await pool.connect();
  await reader.query('begin');
  await reader.query('select count(*) from mv_all_tenants_kpis');
  await refresher.refresh(allTenantsKpis.name);
  await reader.query('commit');
  reader.release();
  expect(done).toMatchObject([{ view: allTenantsKpis.name, mode: 'concurrently' }]);
});

it('a sync of one tenant computes the months it touched, and nothing of another tenant (RC-6)', async () => {
  const refresher = createRefresher({ sql, views: [tenantKpis] });
  await refresher.waitFresh(tenantKpis.name);
  const done: RefreshedEvent[] = [];
  refresher.on('refreshed', (event) => done.push(event));
  const sent = {
    id: '2-7',
    account: 'a2',
    date: '2026-02-10T00:00:00',
    type: 'DEBIT',
    amount: '1.00',
  } as const;
  await saveTransactions(sql, refresher, 't2', [sent]);
  const touched = done.flatMap(({ changes }) => changes);
  expect(touched.length).toBeGreaterThan(0);
  expect(touched.length).toBeLessThanOrEqual(2);
  expect(new Set(touched.map(({ tenant }) => tenant))).toEqual(new Set(['t2']));
  await saveTransactions(sql, refresher, 't2', [sent]);
  expect(done).toHaveLength(1);
  await expectTrue(tenantKpis.name);
});

it('are read typed, of one tenant and month or of all months (RC-6)', async () => {
  await createRefresher({ sql, views: [tenantKpis] }).waitFresh(tenantKpis.name);
  const march = await kpisForTenant(sql, 't3', '2026-03');
  expectTypeOf(march).toEqualTypeOf<TenantKpi[]>();
  expectTypeOf<TenantKpi['tx_count']>().toEqualTypeOf<number>();
  expectTypeOf<TenantKpi['total_amount']>().toEqualTypeOf<string | null>();
  expectTypeOf<TenantKpi['type']>().toEqualTypeOf<'CREDIT' | 'DEBIT'>();
  expect(march.map(({ type }) => type)).toEqual(['CREDIT', 'DEBIT']);
  expect(march.every(({ tenant_id }) => tenant_id === 't3')).toBe(true);
  const all = await kpisForTenant(sql, 't3');
  expect(all).toHaveLength(12);
  expect(all.filter(({ month }) => month.getMonth() === 2 && month.getFullYear() === 2026)).toEqual(march);
  expect(await kpisForTenant(sql, 'nobody')).toEqual([]);
});

it('indexes come with the views, over whatever runs SQL: here an executor of our own (RC-5)', async () => {
  const client = new pg.Client({ connectionString: bare.url });
  await client.connect();
  const statements: Pick<SqlExecutor, 'query'> = {
    async query<Row>(text: string, values: readonly unknown[] = []) {
      const { rows, rowCount } = await client.query(text, [...values]);
      return { rows: rows as Row[], rowCount: rowCount ?? 0 };
    },
  };
  const inside: SqlExecutor = { ...statements, transaction: (run) => run(inside) };
  const own: SqlExecutor = {
    ...statements,
    async transaction(run) {
      await client.query('begin');
      const result = await run(inside);
      await client.query('commit');
      return result;
    },
  };
  try {
    await seed(own, { tenants: 1, transactions: 10 });
    await createViews({ sql: own, views }).apply();
    await own.query('delete from pluggy_transactions');
    await createRefresher({ sql: own, views }).afterSync(['pluggy_transactions']);
    for (const { name } of views) expect((await own.query(`select * from ${name}`)).rows).toEqual([]);
    const { rows: indexes } = await own.query(
      `select from pg_indexes where tablename = 'mv_all_tenants_kpis' and indexdef like '%UNIQUE%(tenant_id, month, type)'`,
    );
    expect(indexes).toHaveLength(1);
  } finally {
    await client.end();
  }
});

it('a sync drops the cached indicators of its tenant once they are refreshed, and keeps those of others (RC-12)', async () => {
  const refresher = createRefresher({ sql, views: [tenantKpis] });
  await refresher.waitFresh(tenantKpis.name);
  const cache = createCache();
  const keys = defineKeys({
    scope: 'tenant',
    resources: { kpis: resource<TenantKpi[], { month: string }>({ ttl: '2m', tags: ['mv_tenant_kpis'] }) },
  });
  const delivered: string[] = [];
  const pipeline = createChangePipeline({
    sources: [refreshSource({ sql })],
    stages: [
      invalidateStage(cache, ({ table, tenant }): CacheTag[] | 'all' =>
        tenant === undefined ? 'all' : [keys.tag(tenant, table)],
      ),
      async (batch) => {
        delivered.push(...batch.map(({ key }) => JSON.stringify(key)));
      },
    ],
  });
  await pipeline.start();
  let loads: string[] = [];
  const read = (tenant: string): Promise<TenantKpi[]> =>
    cache.getOrLoad(keys.kpis({ tenant, month: '2026-05' }), async () => {
      loads.push(tenant);
      return kpisForTenant(sql, tenant, '2026-05');
    });
  try {
    // The pipeline begins with what was refreshed before it; what is refreshed now comes after that.
    await saveTransactions(sql, refresher, 't1', [
      { id: 'last', account: 'a1', date: '2030-01-01T00:00:00', type: 'CREDIT', amount: '1.00' },
    ]);
    await expect.poll(() => delivered.some((key) => key.includes('2030-01'))).toBe(true);
    await Promise.all([read('t4'), read('t5')]);
    loads = [];
    await saveTransactions(sql, refresher, 't4', [
      { id: 'may', account: 'a4', date: '2026-05-05T00:00:00', type: 'CREDIT', amount: '1000.00' },
    ]);
    const before = (await kpisForTenant(sql, 't4', '2026-05'))[0]?.total_amount;
    await expect.poll(async () => (await read('t4'))[0]?.total_amount, { timeout: 10_000 }).toBe(before);
    await read('t5');
    expect(loads).toEqual(['t4']);
  } finally {
    await pipeline.stop();
    await cache.close();
  }
});
