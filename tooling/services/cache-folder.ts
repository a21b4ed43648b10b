import { randomUUID } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { forgetFolder, watchFolder } from './guard.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Changes whenever what is kept in the cache changes its form, so that an old cache is never misread. */
const layout = 'services-1';

let root: string | undefined;

/**
 * The user's cache folder of these services: `$XDG_CACHE_HOME/cachekit/…`, else `~/.cache/cachekit/…`; where neither
 * can be written, a folder that lasts as long as this process.
 */
export function cacheRoot(): string {
  if (root === undefined) {
    const base = process.env.XDG_CACHE_HOME;
    const wanted = join(
      base === undefined || base === '' ? join(homedir(), '.cache') : base,
      'cachekit',
      layout,
    );
    try {
      mkdirSync(wanted, { recursive: true, mode: 0o700 });
      accessSync(wanted, constants.W_OK);
      root = wanted;
    } catch {
      root = temporaryFolder('cache').path;
    }
  }
  return root;
}

/**
 * The cached folder `name`, filled by `fill` when it is not there yet.
 *
 * It is filled under another name and renamed when whole: an interrupted run leaves nothing half made, and of two runs
 * that fill it at once the second uses the folder of the first.
 */
export async function cachedFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const target = join(cacheRoot(), name);
  if (existsSync(target)) return target;
  const draft = join(cacheRoot(), `.draft-${randomUUID()}`);
  watchFolder(draft);
  try {
    await mkdir(draft, { mode: 0o700 });
    await fill(draft);
    await rename(draft, target).catch((error: unknown) => {
      if (!existsSync(target)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
    forgetFolder(draft);
  }
  return target;
}

/** Removes a cached folder that turned out not to work, in one step, so that the next call makes it anew. */
export async function discardCachedFolder(name: string): Promise<void> {
  const trash = join(cacheRoot(), `.trash-${randomUUID()}`);
  await rename(join(cacheRoot(), name), trash).catch(() => {});
  await rm(trash, { recursive: true, force: true });
}
