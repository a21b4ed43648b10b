import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const source = (path: string) => JSON.stringify(fileURLToPath(new URL(path, import.meta.url)));
const setup = `
  import { createCache, defineKeys, resource } from ${source('../src/index.ts')};
  import { memoryRemoteTier } from ${source('../src/testing/memory-remote-tier.ts')};
  const keys = defineKeys({ scope: 'global', resources: { a: resource({ ttl: '5m', staleWhileRevalidate: '5m' }) } });
  const cache = createCache({ remote: memoryRemoteTier() });
  await cache.getOrLoad(keys.a(), async () => 1);
  cache.getOrLoad(keys.a(), () => new Promise(() => {}), { minClock: Date.now() * 1000 + 1000 }).catch(() => {});
`;

async function run(code: string): Promise<number | null> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', code], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
}

test('lets the process end, also without close() and while a loader never answers', async () => {
  expect(await run(setup)).toBe(0);
}, 60_000);

test('lets the process end after close()', async () => {
  expect(await run(`${setup.split('cache.getOrLoad(keys.a(), ()')[0]}; await cache.close();`)).toBe(0);
}, 60_000);

test('lives as long as a caller waits for the load of another process, or for a lock', async () => {
  const code = `
    import { createCache, createMemoryLocks, defineKeys, resource } from ${source('../src/index.ts')};
    import { memoryRemoteTier } from ${source('../src/testing/memory-remote-tier.ts')};
    const keys = defineKeys({ scope: 'global', resources: { a: resource({ ttl: '5m' }) } });
    const tier = memoryRemoteTier();
    await tier.acquire({ key: keys.a().wire, token: 'another_00', leaseMs: 300 });
    const value = await createCache({ remote: tier }).getOrLoad(keys.a(), async () => 1);
    const locks = createMemoryLocks();
    await locks.lock('import', { ttl: 50, renew: false });
    const lease = await locks.lock('import', { ttl: '1s', wait: '10s' });
    process.exit(value === 1 && lease !== undefined ? 7 : 1);
  `;
  expect(await run(code)).toBe(7);
}, 60_000);
