import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect as connectSocket, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ioredisExecutor } from '@cachekit/redis';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { serve } from '@hono/node-server';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, inject, it, vi } from 'vitest';
import { createRealtimeClient, type RealtimeClient } from '../../src/client/index.ts';
import {
  createHub,
  createMemoryLog,
  createRedisLog,
  type EventLog,
  type Hub,
  type HubOptions,
  sseHandler,
} from '../../src/index.ts';
import { upTo } from '../collect.ts';

const ends: (() => unknown)[] = [];
const patience = { timeout: 25_000, interval: 20 };

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

type Web = (request: Request) => Response | Promise<Response>;

/** A real HTTP server on one port that can be cut, stopped and started again. */
async function web(handler: Web) {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let port = 0;
  const state = { handler };
  const start = async (): Promise<void> => {
    server = serve({ fetch: (request) => state.handler(request), port, hostname: '127.0.0.1' }) as Server;
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const stop = async (): Promise<void> => {
    cut();
    const closing = server;
    server = undefined;
    if (closing) await new Promise((resolve) => closing.close(resolve));
  };
  await start();
  ends.push(stop);
  return { url: `http://127.0.0.1:${port}/api/events`, port, sockets, state, start, stop, cut };
}

function newHub(options: Partial<HubOptions> = {}): Hub {
  const hub = createHub({ log: createMemoryLog(), heartbeat: '500ms', ...options });
  ends.push(() => hub.close());
  return hub;
}

const handle = (hub: Hub): Web => sseHandler(hub, { authenticate: () => ({ tenant: 'a' }) });
const event = (data: unknown) => ({ type: 'changed', tenant: 'a', data });

function listen(url: string, tenant = 'a') {
  const client: RealtimeClient = createRealtimeClient({
    url,
    headers: { Authorization: tenant },
    backoff: { min: '20ms', max: '500ms' },
  });
  ends.push(() => client.close());
  const data: unknown[] = [];
  const gaps: string[] = [];
  client.on('changed', (each) => data.push(each));
  client.onGap(({ reason }) => gaps.push(reason));
  client.connect();
  return { client, data, gaps, live: () => vi.waitFor(() => expect(client.state).toBe('live'), patience) };
}

describe('a real HTTP connection', () => {
  it('brings the first frame at once and events in order', async () => {
    const hub = newHub();
    const { url } = await web(handle(hub));
    const { data, live } = listen(url);
    await live();
    for (let n = 1; n <= 200; n += 1) await hub.publish([event(n)]);
    await vi.waitFor(() => expect(data).toEqual(upTo(200)), patience);
  });

  it('that is cut again and again while events come loses nothing and repeats nothing', async () => {
    const hub = newHub();
    const { url, cut } = await web(handle(hub));
    const listeners = upTo(5).map(() => listen(url));
    for (const { live } of listeners) await live();
    for (let n = 1; n <= 400; n += 1) {
      await hub.publish([event(n)]);
      if (n % 40 === 0) cut();
      if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const { data, gaps } of listeners) {
      await vi.waitFor(() => expect(data).toEqual(upTo(400)), patience);
      expect(gaps).toEqual(['started']);
    }
  });

  it('outlives a server that is stopped, answers 503 for a while, and comes back', async () => {
    const hub = newHub();
    const { url, state, start, stop } = await web(handle(hub));
    const { client, data, gaps, live } = listen(url);
    await live();
    await hub.publish([event(1)]);
    await vi.waitFor(() => expect(data).toEqual([1]), patience);
    await stop();
    await hub.publish([event(2)]);
    await vi.waitFor(() => expect(client.state).toBe('backoff'), patience);
    let refused = 0;
    state.handler = () => {
      refused += 1;
      return new Response(null, { status: 503 });
    };
    await start();
    await vi.waitFor(() => expect(refused).toBeGreaterThan(2), patience);
    await hub.publish([event(3)]);
    state.handler = handle(hub);
    await live();
    await vi.waitFor(() => expect(data).toEqual([1, 2, 3]), patience);
    expect(gaps).toEqual(['started']);
  });

  it('that a client leaves without a word is freed, 200 times', async () => {
    const hub = newHub();
    const { url } = await web(handle(hub));
    for (let round = 0; round < 20; round += 1) {
      const listeners = upTo(10).map(() => listen(url));
      await vi.waitFor(() => expect(hub.metrics().connections).toBe(10), patience);
      for (const { client } of listeners) client.close();
      await hub.publish([event(round)]);
      await vi.waitFor(() => expect(hub.metrics()).toMatchObject({ connections: 0, tenants: 0 }), patience);
    }
  });

  it('to a consumer that stops reading costs a bounded queue, is cut, and loses nothing', async () => {
    const hub = newHub({
      queue: { bytes: 20_000, stall: '1s' },
      replay: 100_000,
      log: createMemoryLog({ length: 50_000 }),
    });
    const { port } = await web(handle(hub));
    const socket = connectSocket(port, '127.0.0.1');
    ends.push(() => socket.destroy());
    socket.on('error', () => {});
    socket.write('GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.pause();
    const payload = 'x'.repeat(10_000);
    const fast = await hub.position('a');
    // More than the buffers of two sockets hold.
    for (let n = 1; n <= 3_000; n += 1) await hub.publish([event(payload)]);
    expect(hub.metrics().delivered).toBeLessThan(2_500);
    await vi.waitFor(
      () => expect(hub.metrics()).toMatchObject({ stalled: 1, connections: 0, tenants: 0 }),
      patience,
    );
    const again = createRealtimeClient({ url: `http://127.0.0.1:${port}/`, position: fast });
    ends.push(() => again.close());
    let received = 0;
    again.on('changed', () => {
      received += 1;
    });
    again.connect();
    await vi.waitFor(() => expect(received).toBe(3_000), patience);
  });

  it('through a proxy that passes nothing on is noticed by the missing beat', async () => {
    const hub = newHub();
    const target = await web(handle(hub));
    let deaf = false;
    const proxied = new Set<ServerResponse>();
    const proxy = createServer(async (request, response) => {
      proxied.add(response);
      const lastEventId = request.headers['last-event-id'];
      try {
        const upstream = await fetch(target.url, {
          headers: typeof lastEventId === 'string' ? { 'Last-Event-ID': lastEventId } : {},
        });
        response.writeHead(upstream.status, { 'Content-Type': 'text/event-stream' });
        const held = deaf;
        for await (const chunk of upstream.body ?? []) {
          if (response.destroyed) break;
          if (!(held || deaf)) response.write(chunk);
        }
      } catch {
        response.destroy();
      }
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    ends.push(() => {
      for (const response of proxied) response.destroy();
      proxy.close();
    });
    const { client, data, live } = listen(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}/`);
    await live();
    deaf = true;
    await hub.publish([event(1)]);
    await vi.waitFor(() => expect(client.state).not.toBe('live'), patience);
    deaf = false;
    await vi.waitFor(() => expect(data).toEqual([1]), patience);
  });
});

describe('an instance that is killed', () => {
  const instances: ChildProcess[] = [];

  afterEach(() => {
    for (const child of instances.splice(0)) child.kill('SIGKILL');
  });

  async function startInstance(namespace: string): Promise<{ child: ChildProcess; port: number }> {
    const child = spawn(
      process.execPath,
      [
        '--conditions=@cachekit/source',
        fileURLToPath(new URL('./instance.ts', import.meta.url)),
        inject('redisUrl'),
        namespace,
      ],
      { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
    );
    instances.push(child);
    const [line] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
    return { child, port: (JSON.parse(line.toString()) as { port: number }).port };
  }

  function publisher(namespace: string): { hub: Hub; log: EventLog } {
    const client = new Redis(inject('redisUrl'), { lazyConnect: true });
    const redis = ioredisExecutor(client, { commandTimeout: '10s' });
    const log = createRedisLog({ redis, namespace });
    ends.push(async () => {
      await log.close();
      await redis.close();
    });
    return { hub: newHub({ log }), log };
  }

  it('RC-10 loses nothing for listeners who come back to another one, and repeats nothing', async () => {
    const namespace = uniqueNamespace();
    const { hub } = publisher(namespace);
    const [first, second] = await Promise.all([startInstance(namespace), startInstance(namespace)]);
    let to = first;
    // What a load balancer does.
    const balanced: typeof fetch = (input, init) => {
      const url = new URL(String(input));
      url.port = String(to.port);
      return fetch(url, init);
    };
    const clients = upTo(10).map((n) => {
      const client: RealtimeClient = createRealtimeClient({
        url: 'http://127.0.0.1/api/events',
        headers: { Authorization: n % 2 ? 'a' : 'b' },
        backoff: { min: '20ms', max: '500ms' },
        fetch: balanced,
      });
      ends.push(() => client.close());
      const data: unknown[] = [];
      const gaps: string[] = [];
      client.on('changed', (each) => data.push(each));
      client.onGap(({ reason }) => gaps.push(reason));
      client.connect();
      return { client, data, gaps, tenant: n % 2 ? 'a' : 'b' };
    });
    for (const { client } of clients) {
      await vi.waitFor(() => expect(client.state).toBe('live'), patience);
    }
    for (let n = 1; n <= 100; n += 1) {
      await hub.publish([event(n), { type: 'changed', tenant: 'b', data: -n }]);
      if (n === 50) {
        to = second;
        first.child.kill('SIGKILL');
      }
    }
    for (const { data, gaps, tenant } of clients) {
      const expected = upTo(100).map((n) => (tenant === 'a' ? n : -n));
      await vi.waitFor(() => expect(data).toEqual(expected), patience);
      expect(gaps).toEqual(['started']);
    }
  });
});
