import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetFolder, readyGuard, watchFolder } from './guard.ts';

/** A folder of one server. It is gone after `remove()`, and also when this process ends without calling it. */
export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** Makes an empty folder with mode 700 under the system's temporary folder. */
export function temporaryFolder(name: string): TemporaryFolder {
  readyGuard();
  const path = mkdtempSync(join(tmpdir(), `cachekit-${name}-`));
  watchFolder(path);
  return {
    path,
    async remove(): Promise<void> {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
      forgetFolder(path);
    },
  };
}
