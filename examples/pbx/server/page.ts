import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { build } from 'vite';

const pageFolder = fileURLToPath(new URL('../page/', import.meta.url));

/** Builds the page into a temporary folder, which whoever serves it removes. */
export async function buildPage(): Promise<string> {
  const outDir = await mkdtemp(join(tmpdir(), 'cachekit-pbx-page-'));
  await build({
    root: pageFolder,
    configFile: false,
    logLevel: 'error',
    plugins: [react()],
    resolve: { conditions: ['@cachekit/source', 'module', 'browser', 'production'] },
    build: {
      outDir,
      emptyOutDir: true,
      chunkSizeWarningLimit: 2_000,
      // The dashboard, and what a device shows.
      rolldownOptions: { input: [join(pageFolder, 'index.html'), join(pageFolder, 'device.html')] },
    },
  });
  return outDir;
}
