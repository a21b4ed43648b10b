import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type ChangeEvent,
  type ChangeSink,
  type ChangeSource,
  createCache,
  createChangePipeline,
  defineKeys,
  invalidateStage,
  resource,
} from '@cachekit/core';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { serve } from '@hono/node-server';
import { QueryClient, QueryObserver } from '@tanstack/query-core';
import { Redis } from 'ioredis';
import { afterEach, expect, inject, it, vi } from 'vitest';
import { createRealtimeClient } from '../../src/client/index.ts';
import {
  createHub,
  createRedisLog,
  defineEvents,
  type EventsOf,
  on,
  publishStage,
  sseHandler,
} from '../../src/index.ts';
import { bindQueryClient } from '../../src/tanstack/index.ts';

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const patience = { timeout: 20_000, interval: 10 };

/** A source that delivers what a test gives it. */
function handSource(): ChangeSource & {
  deliver(change: Partial<ChangeEvent>): Promise<void>;
  gap(): Promise<void>;
} {
  let sink: ChangeSink | undefined;
  let sequence = 0;
  return {
    name: 'hand',
    start: async (given) => {
      sink = given;
    },
    stop: async () => {},
    lag: () => ({ delivered: sequence, oldestMs: 0 }),
    deliver: async (change) => {
      sequence += 1;
      await sink?.batch([
        {
          table: 'calls',
          operation: 'insert',
          tenant: 'a',
          key: {},
          at: 0,
          sequence: `${sequence}`,
          ...change,
        },
      ]);
    },
    gap: async () => sink?.gap('trimmed'),
  };
}

it('RC-10 RT-8 a committed change is on the screen, and never a value from before it, whatever was cached', async () => {
  const namespace = uniqueNamespace();
  const redis = ioredisExecutor(new Redis(inject('redisUrl'), { lazyConnect: true }), {
    commandTimeout: '10s',
  });
  ends.push(() => redis.close());
  // Two instances with a memory tier each: one runs the pipeline, the other answers the page.
  const caches = [1, 2].map(() => createCache({ namespace, remote: redisTier({ redis, namespace }) }));
  ends.push(() => Promise.all(caches.map((cache) => cache.close())));
  const [cacheOfPipeline, cacheOfPage] = caches as [(typeof caches)[0], (typeof caches)[0]];
  const keys = defineKeys({
    namespace,
    scope: 'tenant',
    resources: { total: resource<number>({ ttl: '5m', staleWhileRevalidate: '5m', tags: ['calls'] }) },
  });
  const events = defineEvents({ 'call.created': on('calls', 'insert', ({ key }) => key) });
  const log = createRedisLog({ redis, namespace });
  const hub = createHub({ log, heartbeat: '500ms' });
  ends.push(async () => {
    await hub.close();
    await log.close();
  });
  const source = handSource();
  const pipeline = createChangePipeline({
    sources: [source],
    stages: [
      invalidateStage(cacheOfPipeline, ({ tenant = '', table }) => [keys.tag(tenant, table as 'calls')]),
      publishStage(hub, events.derive),
    ],
  });
  await pipeline.start();
  ends.push(() => pipeline.stop());

  const database = { total: 0 };
  const stream = sseHandler(hub, { authenticate: () => ({ tenant: 'a' }) });
  const server = serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: async (request) => {
      if (new URL(request.url).pathname === '/api/events') return stream(request);
      const minClock = Number(request.headers.get('X-CacheKit-Clock') ?? 0);
      const total = await cacheOfPage.getOrLoad(keys.total({ tenant: 'a' }), async () => database.total, {
        minClock,
      });
      return Response.json(total);
    },
  }) as Server;
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const client = createRealtimeClient<EventsOf<typeof events>>({
    url: `${base}/api/events`,
    backoff: { min: '20ms', max: '200ms' },
  });
  ends.push(() => client.close());
  const queryClient = new QueryClient();
  const binding = bindQueryClient(queryClient, {
    client,
    map: { 'call.created': [['total']] },
    throttle: 20,
  });
  ends.push(() => binding.dispose());
  const observer = new QueryObserver<number>(queryClient, {
    queryKey: ['total'],
    queryFn: async ({ queryKey }) => (await fetch(`${base}/api/total`, binding.init(queryKey))).json(),
  });
  const shown: number[] = [];
  ends.push(
    observer.subscribe(({ data }) => data !== undefined && data !== shown.at(-1) && shown.push(data)),
  );
  client.connect();
  await vi.waitFor(() => expect(client.state).toBe('live'), patience);

  for (let n = 1; n <= 40; n += 1) {
    database.total = n;
    await source.deliver({ key: { id: n } });
    if (n % 5 === 0) await vi.waitFor(() => expect(shown.at(-1)).toBe(n), patience);
    if (n % 13 === 0) server.closeAllConnections();
  }
  await vi.waitFor(() => expect(shown.at(-1)).toBe(40), patience);
  expect(shown).toEqual([...shown].sort((a, b) => a - b));

  // Nobody knows what changed: everything is read again.
  database.total = 99;
  await source.gap();
  await vi.waitFor(() => expect(shown.at(-1)).toBe(99), patience);
});
