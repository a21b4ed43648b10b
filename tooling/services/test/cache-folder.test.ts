import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

let home: string;
let cache: typeof import('../cache-folder.ts');

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cachekit-cache-test-'));
  vi.stubEnv('XDG_CACHE_HOME', home);
  vi.resetModules();
  cache = await import('../cache-folder.ts');
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true, force: true });
});

test('a folder is filled once and then found', async () => {
  const fill = vi.fn(async (folder: string) => writeFile(join(folder, 'a'), 'first'));
  const folder = await cache.cachedFolder('thing', fill);
  expect(await cache.cachedFolder('thing', fill)).toBe(folder);
  expect(fill).toHaveBeenCalledTimes(1);
  expect(await readFile(join(folder, 'a'), 'utf8')).toBe('first');
  expect(folder.startsWith(home)).toBe(true);
});

test('what failed half way is not kept', async () => {
  const failing = cache.cachedFolder('thing', async (folder) => {
    await writeFile(join(folder, 'a'), 'half');
    throw new Error('the network is gone');
  });
  await expect(failing).rejects.toThrow('the network is gone');
  expect(await readdir(cache.cacheRoot())).toEqual([]);
});

test('of two that fill at once both get the folder of the first, whole', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = cache.cachedFolder('thing', async (folder) => {
    await held;
    await writeFile(join(folder, 'a'), 'slow');
  });
  const quick = await cache.cachedFolder('thing', (folder) => writeFile(join(folder, 'a'), 'quick'));
  release();
  expect(await slow).toBe(quick);
  expect(await readFile(join(quick, 'a'), 'utf8')).toBe('quick');
  expect(await readdir(cache.cacheRoot())).toEqual(['thing']);
});

test('a folder that does not work can be made anew', async () => {
  const folder = await cache.cachedFolder('thing', (draft) => writeFile(join(draft, 'a'), 'broken'));
  await cache.discardCachedFolder('thing');
  expect(existsSync(folder)).toBe(false);
  await cache.cachedFolder('thing', (draft) => writeFile(join(draft, 'a'), 'mended'));
  expect(await readFile(join(folder, 'a'), 'utf8')).toBe('mended');
});
