import { availableParallelism } from 'node:os';
import { packages } from './packages.ts';
import { run } from './run.ts';

const waiting = [...packages];
const failed: string[] = [];

async function worker(): Promise<void> {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { code, output, seconds } = await run('node_modules/.bin/tsup', ['--silent'], { cwd: next.folder });
    console.log(`${code === 0 ? 'built ' : 'failed'} ${next.name} in ${seconds.toFixed(1)} s`);
    if (code !== 0) {
      failed.push(next.name);
      console.error(output);
    }
  }
}

await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, worker));
process.exitCode = failed.length === 0 ? 0 : 1;
