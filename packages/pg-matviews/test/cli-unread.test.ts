import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));

test('a program whose output nobody reads to the end does its work and ends as ever', async () => {
  const ended = await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@cachekit/source', main, '--help']);
    child.stdout.destroy();
    let told = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, told }));
  });
  expect(ended).toEqual({ code: 0, told: '' });
});
