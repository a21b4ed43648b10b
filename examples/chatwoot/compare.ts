import { parseArgs } from 'node:util';
import { type ComparedApproach, compareApproaches, questions } from './comparison.ts';
import { withDatabases } from './databases.ts';
import { progressLine } from './progress.ts';
import { prepare } from './run.ts';
import { countOf } from './sizes.ts';
import { tableLines, timeText } from './table.ts';

const { values } = parseArgs({ options: { conversations: { type: 'string', default: '10k,100k,1m' } } });
const sizes = values.conversations.split(',').map((text) => ({ text, count: countOf(text) }));

const results: (readonly ComparedApproach[])[] = [];
for (const { text, count } of sizes) {
  console.log(`${text} conversations`);
  await withDatabases(async ({ remote, local }) => {
    const analytics = await prepare(remote, local, count, progressLine());
    results.push(await compareApproaches(remote, local, analytics, () => performance.now()));
    console.log('');
  });
}
for (const { title, of } of questions) {
  const lines = (results[0] ?? []).map(({ approach }, row) => [
    approach,
    ...results.map((result) => timeText(result[row]?.[of])),
  ]);
  console.log(`\n${tableLines([title, ...sizes.map(({ text }) => text)], lines).join('\n')}`);
}
