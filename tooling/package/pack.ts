import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../build/packages.ts';
import { run } from '../build/run.ts';

/** Packs every package as a release would, with pnpm: it alone knows `workspace:`, `catalog:` and `publishConfig`. */
export async function packAll(into: string): Promise<string[]> {
  const { packageManager } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    packageManager: string;
  };
  const args = ['--recursive', '--filter', './packages/*', 'pack', '--pack-destination', into];
  const underPnpm = process.env.npm_config_user_agent?.startsWith('pnpm');
  const { code, output } = underPnpm
    ? await run('pnpm', args, { cwd: root })
    : await run('npx', ['--yes', packageManager, ...args], { cwd: root });
  if (code !== 0) throw new Error(`pnpm pack failed:\n${output}`);
  return readdirSync(into)
    .filter((name) => name.endsWith('.tgz'))
    .sort()
    .map((name) => join(into, name));
}
