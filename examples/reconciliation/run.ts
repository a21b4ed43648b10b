import type { AddressInfo } from 'node:net';
import { pgExecutor } from '@cachekit/core/postgres';
import { createViews } from '@cachekit/pg-matviews';
import { serve } from '@hono/node-server';
import { poolOf } from './pool.ts';
import { seed } from './seed.ts';
import { createApp } from './server/app.ts';
import { views } from './views.ts';
import { type Desk, type WiringOptions, wire } from './wiring.ts';

/** The application at work. */
export interface Running {
  origin: string;
  desk: Desk;
  close(): Promise<void>;
}

/** Fills a database and creates its views; a deployment does so once. */
export async function prepare(
  databaseUrl: string,
  size: { tenants: number; transactions: number },
): Promise<void> {
  const sql = pgExecutor(poolOf(databaseUrl));
  await seed(sql, size);
  await createViews({ sql, views }).apply();
}

/** Wires the parts and serves them, at any free port. */
export async function run(options: WiringOptions): Promise<Running> {
  const desk = await wire(options);
  const fetch = createApp(desk, options.onTrouble);
  const server = await new Promise<ReturnType<typeof serve>>((resolve, reject) => {
    const listening = serve({ fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(listening));
    listening.once('error', reject);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    desk,
    async close() {
      await desk.close();
      await new Promise((resolve) => {
        server.close(resolve);
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
    },
  };
}
