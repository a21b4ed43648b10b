// Runs on whatever Node the machine has (20 is enough), before anything is installed: keep it free of dependencies.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
const stamp = new URL('node_modules/.cachekit-install', root);
const lockfile = readFileSync(new URL('pnpm-lock.yaml', root));
const wanted = createHash('sha256').update(lockfile).digest('hex');
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined;

// Under pnpm the packages are already there: pnpm installs before it runs a script.
if (installed !== wanted && !process.env.npm_config_user_agent?.startsWith('pnpm')) {
  const { packageManager } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  if (installed === undefined)
    console.log('Installing the packages, once; this takes from 20 s to a few minutes.');
  const { status, error, stdout, stderr } = spawnSync(
    'npx',
    ['--yes', packageManager, 'install', '--frozen-lockfile', '--reporter=append-only'],
    { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26, shell: process.platform === 'win32' },
  );
  if (error || status !== 0) {
    console.error(error ? `Cannot start npx: ${error.message}` : `${stdout}${stderr}`);
    console.error(`Installing the packages with ${packageManager} failed; see the message above.`);
    process.exit(status || 1);
  }
  writeFileSync(stamp, wanted);
}
