import { parseArgs } from 'node:util';
import { copyingExecutor, type EtlResult } from '@cachekit/pg-matviews/etl';
import { createDatabase, startPostgres } from '@cachekit/services';
import pg from 'pg';
import { compareApproaches } from './comparison.ts';
import { prepare } from './run.ts';
import { milliseconds, tableLines } from './table.ts';
import { localSummary } from './views.ts';

const { values } = parseArgs({ options: { conversations: { type: 'string', default: '10k' } } });
const conversations = countOf(values.conversations);

const postgres = await startPostgres();
const remoteDatabase = await createDatabase(postgres.url);
const localDatabase = await createDatabase(postgres.url);
const remotePool = quietPool(remoteDatabase.url);
const localPool = quietPool(localDatabase.url);
try {
  await show();
} finally {
  await Promise.all([remotePool.end(), localPool.end()]);
  await remoteDatabase.drop();
  await localDatabase.drop();
  await postgres.stop();
}

async function show(): Promise<void> {
  const remote = copyingExecutor(remotePool);
  const local = copyingExecutor(localPool);
  console.log(`Chatwoot with ${conversations} conversations, and a local copy of its analytics\n`);
  const began = performance.now();
  let shown = '';
  const { etl, summary } = await prepare(remote, local, conversations, (task, detail) => {
    if (process.stdout.isTTY)
      process.stdout.write(
        `${task === shown || shown === '' ? '\r\u001b[2K' : '\n'}  ${task.padEnd(14)}${detail}`,
      );
    else if (task !== shown || detail === '100 %') console.log(`  ${task.padEnd(14)}${detail}`);
    shown = task;
  });
  console.log(`\n  done in ${milliseconds(performance.now() - began)}\n`);

  const changes: [string, string][] = [
    [
      'a message arrives',
      `insert into messages (content, account_id, inbox_id, conversation_id, message_type, created_at, updated_at, sender_type)
      select 'One more', account_id, inbox_id, id, 0, now() at time zone 'UTC', now() at time zone 'UTC', 'Contact' from conversations where id = 7`,
    ],
    [
      'a contact is renamed',
      `update contacts set name = 'Renamed', updated_at = now() at time zone 'UTC' where id = (select contact_id from conversations where id = 5)`,
    ],
    [
      'an inbox is renamed',
      `update inboxes set name = 'Renamed', updated_at = now() at time zone 'UTC' where id = 2`,
    ],
    ['a status without a date', 'update conversations set status = 1 - least(status, 1) where id = 11'],
  ];
  const lines: string[][] = [];
  for (const [what, statement] of changes) {
    await remote.query(statement);
    const result: EtlResult = await etl.run();
    const fresh = performance.now();
    await summary.waitFresh(localSummary.name);
    lines.push([
      what,
      String(result.read),
      String(result.updated),
      milliseconds(result.durationMs),
      milliseconds(performance.now() - fresh),
    ]);
  }
  await remote.query(
    'delete from messages where conversation_id = 12; delete from conversations where id = 12',
  );
  const compared = await etl.reconcile('keys');
  lines.push([
    'a conversation is deleted (hashes)',
    '0',
    String(compared.deleted),
    milliseconds(compared.durationMs),
    '-',
  ]);
  console.log(tableLines(['after', 'rows read', 'rows written', 'copy', 'summary'], lines).join('\n'));

  console.log(`\nWhat each approach takes, ${conversations} conversations\n`);
  const rows = (await compareApproaches(remote, local, () => performance.now())).map((one) => [
    one.approach,
    milliseconds(one.listMs),
    milliseconds(one.oneMs),
    milliseconds(one.monthMs),
  ]);
  console.log(tableLines(['approach', '50 newest', 'one conversation', 'a month by day'], rows).join('\n'));

  await remoteDatabase.drop();
  await etl.run().catch(() => undefined);
  const status = await etl.status();
  const { rows: left } = await local.query<{ total: string }>(
    'select count(*)::text as total from conversations_analytics',
  );
  console.log(
    `\nThe remote database is gone: ${left[0]?.total} conversations still answer, ${milliseconds(status.lagMs)} old.`,
  );
  console.log(`The last attempt said: ${status.lastError}`);
}

/** A pool whose connections may break without ending the process. */
function quietPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString });
  pool.on('error', () => undefined);
  return pool;
}

function countOf(text: string): number {
  const match = /^(\d+)(k|m)?$/i.exec(text);
  const count =
    Number(match?.[1]) * (match?.[2] === undefined ? 1 : match[2].toLowerCase() === 'k' ? 1_000 : 1_000_000);
  if (!Number.isSafeInteger(count) || count < 20)
    throw new Error(`--conversations takes 10k, 100k, 1m; got ${text}`);
  return count;
}
