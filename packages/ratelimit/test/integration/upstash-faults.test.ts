import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startUpstashServer } from '@cachekit/redis/testing';
import { upstashExecutor } from '@cachekit/redis/upstash';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis as Upstash } from '@upstash/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createRateLimiter, gcra, redisStore } from '../../src/index.ts';

// Two shared cores: the promise is the timeout, the rest is patience with the machine.
const timeoutMs = 150;
const marginMs = 2_000;

type Harm = (response: ServerResponse, status: number, body: Buffer) => void;

/** What may happen to an answer on its way: it is made, and something else arrives. */
const harms: Readonly<Record<string, Harm>> = {
  'an error of the server (500)': (response) =>
    response.writeHead(500).end('{"error":"Internal Server Error"}'),
  'a page of a proxy instead of JSON (502)': (response) =>
    response.writeHead(502, { 'Content-Type': 'text/html' }).end('<html><h1>Bad Gateway</h1></html>'),
  'no JSON although it says 200': (response) =>
    response.writeHead(200).end('<html>Sign in to the network</html>'),
  'too many requests for the plan (429)': (response) =>
    response.writeHead(429).end('{"error":"ERR max requests limit exceeded"}'),
  'a wrong token (401)': (response) => response.writeHead(401).end('{"error":"Unauthorized"}'),
  'later than the timeout': (response, status, body) =>
    void setTimeout(() => response.writeHead(status).end(body), 400),
  never: () => {},
  'half of it': (response, status, body) => {
    response.writeHead(status, { 'Content-Length': body.length });
    response.write(body.subarray(0, body.length >> 1), () => response.destroy());
  },
  'a connection that is reset': (response) => response.socket?.resetAndDestroy(),
};

/** Passes requests on to `target`, and answers as `harm` says. */
async function startHarmful(target: string) {
  let harm: Harm | undefined;
  const passOn = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { authorization = '', 'upstash-encoding': encoding = '' } = request.headers;
    const answer = await fetch(target + request.url, {
      method: 'POST',
      headers: { authorization, 'upstash-encoding': `${encoding}` },
      body: Buffer.concat(chunks),
    });
    const body = Buffer.from(await answer.arrayBuffer());
    if (harm === undefined) response.writeHead(answer.status).end(body);
    else harm(response, answer.status, body);
  };
  const http = createServer((request, response) => {
    // The client repeats what failed for seconds, so a request may be under way when all of this ends.
    passOn(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    set(next: Harm | undefined): void {
      harm = next;
    },
    async close(): Promise<void> {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

describe('Upstash that answers', () => {
  let rest: Awaited<ReturnType<typeof startUpstashServer>>;
  let proxy: Awaited<ReturnType<typeof startHarmful>>;
  beforeAll(async () => {
    rest = await startUpstashServer({ redis: new Redis(inject('redisUrl'), { lazyConnect: true }) });
    proxy = await startHarmful(rest.url);
  });
  afterAll(async () => {
    await proxy.close();
    await rest.close();
  });

  test.each(Object.entries(harms))(
    '%s: every check is answered in time and counted in this process, and Upstash counts again when it is over',
    async (_what, harm) => {
      const client = new Upstash({ url: proxy.url, token: rest.token, automaticDeserialization: false });
      const redis = upstashExecutor(client);
      const limits = createRateLimiter({
        policies: { api: gcra({ limit: 5, window: '1m' }) },
        store: redisStore({ redis, namespace: uniqueNamespace() }),
        timeout: timeoutMs,
      });
      const counting = () =>
        expect
          .poll(async () => (await limits.consume({ api: [crypto.randomUUID()] })).source, {
            timeout: 15_000,
          })
          .toBe('redis');
      try {
        await counting();
        proxy.set(harm);
        for (let i = 0; i < 12; i++) {
          const began = performance.now();
          const decision = await limits.consume({ api: [`u${i % 2}`] });
          expect(performance.now() - began).toBeLessThan(timeoutMs + marginMs);
          expect(decision).toMatchObject({ source: 'local', allowed: i < 10 });
          expect(decision.unavailable?.code).toBe('RATE_LIMIT_STORE');
        }
        proxy.set(undefined);
        await counting();
      } finally {
        proxy.set(undefined);
        await redis.close();
      }
    },
  );

  test.each([
    'an error of the server (500)',
    'a page of a proxy instead of JSON (502)',
    'a wrong token (401)',
  ])('%s: after five of them it is not asked any more until it answers', async (what) => {
    const client = new Upstash({ url: proxy.url, token: rest.token, automaticDeserialization: false });
    const redis = upstashExecutor(client);
    const limits = createRateLimiter({
      policies: { api: gcra({ limit: 5, window: '1m' }) },
      store: redisStore({ redis, namespace: uniqueNamespace() }),
      timeout: '10s',
    });
    await limits.consume({ api: ['warm'] });
    proxy.set(harms[what]);
    try {
      for (let i = 0; i < 5; i++) await limits.consume({ api: ['u1'] });
      expect(limits.metrics().available).toBe(false);
    } finally {
      proxy.set(undefined);
      await redis.close();
    }
  });
});
