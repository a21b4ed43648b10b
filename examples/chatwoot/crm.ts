import { parseArgs } from 'node:util';
import { pgExecutor } from '@cachekit/core/postgres';
import { createDatabase, startPostgres, startRedis } from '@cachekit/services';
import pg from 'pg';
import { startInstances } from './crm/instances.ts';
import { playOutage, survived } from './crm/outage.ts';
import { keepsPromise, measureSaving } from './crm/saving.ts';
import { showContacts } from './crm/scenes/contacts.ts';
import { showHistory } from './crm/scenes/history.ts';
import { showImport } from './crm/scenes/import.ts';
import { showAlerts, showMetrics } from './crm/scenes/operations.ts';
import { showOutage, showSaving } from './crm/scenes/saving.ts';
import { showToolResults } from './crm/scenes/tools.ts';
import { makeTrace, readChats } from './crm/trace.ts';
import { progressLine } from './progress.ts';
import { seed } from './seed/seed.ts';
import { countOf } from './sizes.ts';

const { values } = parseArgs({
  options: {
    conversations: { type: 'string', default: '5k' },
    seconds: { type: 'string', default: '60' },
  },
});
const conversations = countOf(values.conversations);
const seconds = Number(values.seconds);
if (!(Number.isInteger(seconds) && seconds >= 1))
  throw new Error(`--seconds takes a number of seconds; got ${values.seconds}`);

const postgres = await startPostgres();
// Its own: it is going to be killed.
const redis = await startRedis({ own: true });
const database = await createDatabase(postgres.url);
const pool = new pg.Pool({ connectionString: database.url });
try {
  await show();
} finally {
  await pool.end();
  await database.drop();
  await redis.stop();
  await postgres.stop();
}

async function show(): Promise<void> {
  console.log(`A CRM over Chatwoot with ${conversations} conversations: two instances, one Redis\n`);
  const chatwoot = pgExecutor(pool);
  await seed(chatwoot, { conversations, onProgress: progressLine() });
  const chats = await readChats(chatwoot, 300);
  const instances = await startInstances({ databaseUrl: database.url, redisUrl: redis.url });
  try {
    const scene = { ...instances, chatwoot, chats };
    await showHistory(scene);
    await showContacts(scene);
    await showImport(scene);
    await showToolResults(scene);

    const trace = makeTrace(chats, { seed: 7, seconds });
    const saving = await measureSaving(scene, trace);
    showSaving(saving, seconds);
    await showMetrics(scene);
    await showAlerts(scene);
    const outage = await playOutage(scene, trace, {
      kill: () => redis.kill('SIGKILL'),
      restart: () => redis.restart(),
    });
    showOutage(outage);
    if (!keepsPromise(saving) || !survived(outage)) process.exitCode = 1;
  } finally {
    await instances.close();
  }
}
