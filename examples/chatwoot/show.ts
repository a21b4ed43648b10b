import { parseArgs } from 'node:util';
import { changes, conversationGoes } from './changes.sql.ts';
import { compareApproaches, questions } from './comparison.ts';
import { type Databases, withDatabases } from './databases.ts';
import { progressLine } from './progress.ts';
import { prepare } from './run.ts';
import { countOf } from './sizes.ts';
import { tableLines, timeText } from './table.ts';
import { localSummary } from './views.ts';

const { values } = parseArgs({ options: { conversations: { type: 'string', default: '10k' } } });
const conversations = countOf(values.conversations);
await withDatabases(show);

async function show({ remote, local, dropRemote }: Databases): Promise<void> {
  console.log(`Chatwoot with ${conversations} conversations, and a local copy of its analytics\n`);
  const began = performance.now();
  const analytics = await prepare(remote, local, conversations, progressLine());
  const { etl, summary } = analytics;
  console.log(`\n  done in ${timeText(performance.now() - began)}\n`);

  console.log(`What each approach takes, ${conversations} conversations\n`);
  const compared = await compareApproaches(remote, local, analytics, () => performance.now());
  const rows = compared.map((one) => [one.approach, ...questions.map(({ of }) => timeText(one[of]))]);
  console.log(tableLines(['approach', ...questions.map(({ title }) => title)], rows).join('\n'));

  const lines: string[][] = [];
  for (const [what, statement] of changes) {
    await remote.query(statement);
    const { read, updated, durationMs } = await etl.run();
    const copied = performance.now();
    await summary.waitFresh(localSummary.name);
    lines.push([
      what,
      String(read),
      String(updated),
      timeText(durationMs),
      timeText(performance.now() - copied),
    ]);
  }
  await remote.query(conversationGoes);
  const { deleted, durationMs } = await etl.reconcile('keys');
  lines.push(['a conversation is deleted (hashes)', '0', String(deleted), timeText(durationMs), '-']);
  console.log('\nWhat the copy does when something changes\n');
  console.log(tableLines(['after', 'rows read', 'rows written', 'copy', 'summary'], lines).join('\n'));
  console.log(
    '\nA run looks back to the oldest open transaction, and five seconds for clocks that differ: it reads again what has just changed.',
  );
  const totals = (await summary.status())[0]?.totals;
  console.log(
    `The summary was refreshed ${totals?.refreshes} times in ${timeText(totals?.refreshMs)}: ${totals?.groups} groups, ${totals?.failures} failures.`,
  );

  await dropRemote();
  await etl.run().catch(() => undefined);
  const status = await etl.status();
  const { rows: left } = await local.query<{ total: string }>(
    'select count(*)::text as total from conversations_analytics',
  );
  console.log(
    `\nThe remote database is gone: ${left[0]?.total} conversations still answer, ${timeText(status.lagMs)} old.`,
  );
  console.log(`The last attempt said: ${status.lastError}`);
}
