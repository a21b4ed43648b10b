import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { root } from '../build/packages.ts';
import { run } from '../build/run.ts';
import { count, reportsVariable, settle } from './reports.mjs';
import { type Row, table } from './table.ts';

/** Seconds a part may take on two cores; a part that takes longer is marked, not failed. */
const budgets: Record<string, number> = {
  lint: 20,
  typecheck: 15,
  house: 10,
  build: 60,
  size: 15,
  'test:package': 60,
  'docs:build': 60,
  'test:containers': 60,
  'test:browser': 90,
};

const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  scripts: Record<string, string>;
};
const reports = process.env[reportsVariable] ?? mkdtempSync(join(tmpdir(), 'cachekit-reports-'));
process.env[reportsVariable] = reports;
const path = [`${root}node_modules/.bin`, process.env.PATH].join(delimiter);
const asked = process.argv.slice(2);
const parts = asked.length > 0 ? asked : Object.keys(budgets);
const rows: Row[] = [];

for (const part of parts) {
  const script = scripts[part];
  if (script === undefined) throw new Error(`package.json has no script "${part}"`);
  console.log(`\n=== ${part}`);
  const before = count(reports);
  const { code, seconds } = await run('sh', ['-c', script], { cwd: root, env: { PATH: path }, show: true });
  settle(reports, part, code, before);
  if (part === 'build' && code === 0) process.env.CACHEKIT_BUILT = '1';
  rows.push({ part, ok: code === 0, seconds, budget: budgets[part] });
}

console.log(`\n${table(rows)}`);
const { passed, failed, skipped } = count(reports);
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = rows.every(({ ok }) => ok) ? 0 : 1;
