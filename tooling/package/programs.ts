import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../build/run.ts';

/** Names of the programs that a package installs. */
export function programsOf(folder: string): string[] {
  const { bin = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    bin?: Record<string, string>;
  };
  return Object.keys(bin);
}

/** Runs an installed program as its users do. */
export async function assertRuns(host: string, program: string, args: readonly string[]): Promise<string> {
  const { code, output } = await run('npx', ['--no-install', program, ...args], { cwd: host });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${output}`);
  return output;
}

/** A host has no `pg`, so what comes last is the message that says so: the configuration was found and loaded before. */
export async function assertLoadsConfiguration(host: string, program: string): Promise<void> {
  const view = `defineView({ name: 'v', kind: 'view', query: 'select 1 as one' })`;
  for (const [file, from] of [
    ['cachekit-views.config.ts', `import { defineView, type ViewDefinition } from '@cachekit/pg-matviews';`],
    ['views.cjs', `const { defineView } = require('@cachekit/pg-matviews');`],
  ] as const) {
    const exported = file.endsWith('.ts')
      ? `export const views: ViewDefinition[] = [${view}];`
      : `exports.views = [${view}];`;
    writeFileSync(join(host, file), `${from}\n${exported}\n`);
    const { code, output } = await run('npx', ['--no-install', program, 'plan', '--config', file], {
      cwd: host,
      env: { DATABASE_URL: 'postgres://127.0.0.1:1/none' },
    });
    if (code !== 2 || !output.includes('npm install pg'))
      throw new Error(`plan with ${file} ended with ${code}:\n${output}`);
  }
}
