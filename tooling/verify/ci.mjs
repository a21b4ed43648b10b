// What a fresh machine does, in its order. Runs on Node 20: keep it free of dependencies.
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { count, report, reportsVariable, settle } from './reports.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cachekit-reports-'));
process.env[reportsVariable] = folder;
process.env.npm_config_update_notifier = 'false';
const times = [];

for (const [part, ...args] of [
  ['demo', 'run', 'demo', '--', '--once'],
  ['test', 'test'],
  ['verify', 'run', 'verify'],
]) {
  console.log(`\n=== npm ${args.join(' ')}`);
  const before = count(folder);
  const begin = performance.now();
  const { status } = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  settle(folder, part, status ?? 1, before);
  // Only the container part may say that there is nothing to test here; in `npm test` a skipped test is a failed one.
  const skips = count(folder).skipped - before.skipped;
  if (part === 'test' && skips > 0) report('skipped', 0, skips);
  times.push(
    `${part.padEnd(8)} ${status === 0 ? 'ok    ' : 'FAILED'} ${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s`,
  );
}

const { passed, failed, skipped, failures } = count(folder);
// Once more at the end, where somebody who sees only the end of a long log finds them.
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${times.join('\n')}`);
if (skipped > 0) console.log(`${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
