import { createDatabase, startPostgres, startRedis } from '@cachekit/services';
import { play } from './story/play.ts';
import { tableLines } from './story/table.ts';

const size = { tenants: 20, transactions: 2_000, customers: 300 };

const postgres = await startPostgres();
const redis = await startRedis({ own: true });
const database = await createDatabase(postgres.url);
const startedAt = performance.now();
try {
  console.log(`
${size.tenants} offices, each with ${size.transactions} bank transactions and ${size.customers} customers. A and B are two servers of one application,
with one PostgreSQL and one Redis. Everything below was read from real answers: the cache column from X-Cache, "statements" are
those that reached PostgreSQL.
`);
  await play({ databaseUrl: database.url, redis, size }, (table) => {
    console.log(`${tableLines(table).join('\n')}\n`);
  });
  console.log(`Done in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s.`);
} finally {
  await database.drop();
  await redis.stop();
  await postgres.stop();
}
