import { createDatabase, startPostgres, startRedis } from '@cachekit/services';
import { play } from './story/play.ts';
import { tableLines } from './story/table.ts';

const size = { tenants: 20, transactions: 2_000, customers: 300 };

const postgres = await startPostgres();
const redis = await startRedis({ own: true });
const database = await createDatabase(postgres.url);
try {
  console.log(
    `${size.tenants} offices with ${size.transactions} bank transactions each; two servers of one application\n`,
  );
  await play({ databaseUrl: database.url, redis, size }, (table) => {
    console.log(`${tableLines(table).join('\n')}\n`);
  });
} finally {
  await database.drop();
  await redis.stop();
  await postgres.stop();
}
