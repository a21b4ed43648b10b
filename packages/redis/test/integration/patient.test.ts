import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { expect, inject, it } from 'vitest';
import { createPairing, ioredisExecutor } from '../../src/index.ts';
import { startUpstashServer } from '../../src/testing/index.ts';

const script = fileURLToPath(new URL('../fixtures/patient.ts', import.meta.url));

it('a process over HTTP that has nothing else to do lives as long as it waits (PBX-10)', async () => {
  const server = await startUpstashServer({ redis: new Redis(inject('redisUrl'), { lazyConnect: true }) });
  const client = new Redis(inject('redisUrl'));
  const namespace = uniqueNamespace();
  const pairing = createPairing<string>({ redis: ioredisExecutor(client), namespace });
  const device = spawn(process.execPath, [
    '--conditions=@cachekit/source',
    script,
    server.url,
    server.token,
    namespace,
  ]);
  const ended = once(device, 'close');
  let said = '';
  device.stdout.on('data', (text: Buffer) => {
    said += text;
  });
  try {
    await expect.poll(() => said, { timeout: 20_000 }).toContain('\n');
    // Longer than it pauses between two looks, so that it has paused.
    await new Promise((resolve) => setTimeout(resolve, 700));
    await pairing.claim(said.trim(), { by: 'user-7' });
    expect(await ended).toEqual([0, null]);
    expect(said).toMatch(/\nclaimed$/);
  } finally {
    device.kill();
    await pairing.close();
    client.disconnect();
    await server.close();
  }
});
