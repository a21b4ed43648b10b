import { rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import type { Duration } from '@cachekit/core';
import { pgExecutor } from '@cachekit/core/postgres';
import { serve } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import pg from 'pg';
import { fullSize, type SeedSize, seed } from './seed/seed.ts';
import { createApp } from './server/app.ts';
import { buildPage } from './server/page.ts';
import { type Switchboard, type WiringOptions, wire } from './wiring.ts';

export interface RunOptions {
  databaseUrl: string;
  /** Where Redis is; see {@link wire}. */
  redis?: WiringOptions['redis'];
  /** How long a read or a check waits for Redis before it goes on without. */
  redisTimeout?: Duration;
  /** Whether the page is built and served. */
  page: boolean;
  port?: number;
  size?: SeedSize;
  /** How long a device stays online after it was last seen. */
  deviceTtl?: Duration;
  /** Tells what is being done; called again with the same `task` as it advances. */
  onProgress: (task: string, detail: string) => void;
  /** What went wrong in the background; the application goes on. */
  onTrouble: (part: string, error: unknown) => void;
}

/** The application at work. */
export interface Running {
  origin: string;
  switchboard: Switchboard;
  close(): Promise<void>;
}

/** Fills the database, wires the parts and serves them. */
export async function run({
  databaseUrl,
  redis,
  redisTimeout,
  page,
  port = 0,
  size = fullSize,
  deviceTtl,
  onProgress,
  onTrouble,
}: RunOptions): Promise<Running> {
  await fill(databaseUrl, size, onProgress);
  const root = page ? await buildPage() : undefined;
  if (root) onProgress('Page', 'built');
  const switchboard = await wire({ databaseUrl, redis, redisTimeout, deviceTtl, onTrouble });
  onProgress('Views', 'created and filled');

  const app = createApp(switchboard, (error) => onTrouble('server', error));
  if (root) app.use('*', serveStatic({ root }));
  const server = await listen(app.fetch, port).catch(async (error: unknown) => {
    await switchboard.close();
    throw error;
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    switchboard,
    async close() {
      if (root) await rm(root, { recursive: true, force: true });
      await switchboard.close();
      await new Promise((resolve) => {
        server.close(resolve);
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
    },
  };
}

function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  port: number,
): Promise<ReturnType<typeof serve>> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname: '127.0.0.1' }, () => resolve(server));
    server.once('error', reject);
  });
}

async function fill(
  databaseUrl: string,
  size: SeedSize,
  onProgress: RunOptions['onProgress'],
): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  try {
    await seed(pgExecutor(pool), size, Date.now(), (written, total) =>
      onProgress('Calls', `${written.toLocaleString('en')} of ${total.toLocaleString('en')} written`),
    );
  } finally {
    await pool.end();
  }
}
