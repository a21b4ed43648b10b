// Runs on whatever Node the machine has (20 is enough), before anything is installed: keep it free of dependencies.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
const { packageManager } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));

// Under pnpm the packages are already there: pnpm installs before it runs a script.
if (!process.env.npm_config_user_agent?.startsWith('pnpm')) {
  const { status, error } = spawnSync(
    'npx',
    ['--yes', packageManager, 'install', '--frozen-lockfile', '--reporter=silent'],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' },
  );
  if (error) console.error(`Cannot start npx: ${error.message}`);
  if (status !== 0) {
    console.error(`Installing the packages with ${packageManager} failed; see the message above.`);
    process.exit(status ?? 1);
  }
}
