import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ArgumentError, assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { commandOptions } from '../executors/connection-options.ts';
import type { IoRedisConnectionLike, IoRedisLike } from '../executors/ioredis-like.ts';
import { type Command, commandOfPath, commandsOf } from './upstash-request.ts';
import { UpstashScripts } from './upstash-scripts.ts';

/** Options of {@link startUpstashServer}. */
export interface UpstashServerOptions {
  /** Names the Redis behind it; the client itself is neither used nor closed. Not a cluster. */
  readonly redis: IoRedisLike;
  /** @defaultValue `'test-token'` */
  readonly token?: string;
  /** @defaultValue 0, a free one */
  readonly port?: number;
}

/** A server that runs. */
export interface UpstashServer {
  /** For `UPSTASH_REDIS_REST_URL`. */
  readonly url: string;
  /** For `UPSTASH_REDIS_REST_TOKEN`. */
  readonly token: string;
  /** Ends it and its connection to Redis. */
  close(): Promise<void>;
}

/** A request larger than this is refused. */
const mostBytes = 10 * 1024 * 1024;

/**
 * Starts a server on this machine that speaks the REST protocol of Upstash over a Redis of your own, for tests.
 *
 * It understands a command as JSON in the body or in the path, `/pipeline` and `/multi-exec`, answers in base64 where
 * the client asks for it, and refuses every path without the token. Scripts may have the flag `allow-key-locking`, as
 * those of `@upstash/ratelimit` do, which Redis itself refuses. It knows no subscriptions and no read-only token, and
 * refuses commands that change the connection, as `SELECT` does.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @see https://upstash.com/docs/redis/features/restapi
 * @example
 * const server = await startUpstashServer({ redis: new Redis('redis://127.0.0.1:6379', { lazyConnect: true }) });
 * process.env.UPSTASH_REDIS_REST_URL = server.url;
 * process.env.UPSTASH_REDIS_REST_TOKEN = server.token;
 * await server.close();
 */
export async function startUpstashServer(options: UpstashServerOptions): Promise<UpstashServer> {
  assertKnownOptions('startUpstashServer', options, ['redis', 'token', 'port']);
  const { redis, token = 'test-token', port = 0 } = options;
  if (typeof redis?.duplicate !== 'function') {
    throw new ConfigurationError('startUpstashServer: redis: give a client of ioredis: new Redis()');
  }
  if (redis.isCluster) throw new ConfigurationError('startUpstashServer: not over a cluster');
  if (token === '') throw new ConfigurationError('startUpstashServer: the token is empty');
  const connection = redis.duplicate({
    ...commandOptions(10_000, Math.random),
    enableOfflineQueue: true,
    // The replies that Upstash knows.
    protocol: 2,
  });
  // Without a listener it would be printed; a command that meets it is answered with it.
  connection.on('error', () => {});
  let served = 0;
  const scripts = new UpstashScripts();
  const http = createServer((request, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.setHeader('Upstash-Sync-Token', String(++served));
    answer(connection, scripts, token, request).then(
      ([status, body]) => send(response, status, body),
      (error: unknown) => send(response, 400, { error: text(error) }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, '127.0.0.1', resolve);
  }).catch((error: unknown) => {
    connection.disconnect();
    throw error;
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    token,
    async close() {
      connection.disconnect();
      http.closeAllConnections();
      await new Promise((resolve) => {
        http.close(resolve);
      });
    },
  };
}

type Answer = readonly [status: number, body: unknown];

async function answer(
  redis: IoRedisConnectionLike,
  scripts: UpstashScripts,
  token: string,
  request: IncomingMessage,
): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const given = request.headers.authorization?.replace(/^Bearer /, '') ?? url.searchParams.get('_token');
  if (given !== token) return [401, { error: 'Unauthorized' }];
  if (request.method !== 'POST' && request.method !== 'GET') return [405, { error: 'Method not allowed' }];
  const body = await bodyOf(request);
  const encode = request.headers['upstash-encoding'] === 'base64' ? encoded : (reply: unknown) => reply;
  const translated = (): readonly Command[] => commandsOf(body).map((command) => scripts.translate(command));
  if (url.pathname === '/pipeline') {
    const replies = await Promise.allSettled(
      translated().map(([name, ...args]) => redis.call(name, ...args)),
    );
    return [200, replies.map((reply) => outcome(reply, encode))];
  }
  if (url.pathname === '/multi-exec') {
    const replies = await transaction(redis, translated());
    return [200, replies.map((reply) => outcome(reply, encode))];
  }
  const [name, ...args] = scripts.translate(commandOfPath(url, body));
  return [200, { result: encode(await redis.call(name, ...args)) }];
}

/** Sent in one go, so that no command of another request comes between. */
async function transaction(
  redis: IoRedisConnectionLike,
  commands: readonly (readonly [string, ...string[]])[],
): Promise<PromiseSettledResult<unknown>[]> {
  const queued = Promise.allSettled([
    redis.call('MULTI'),
    ...commands.map(([name, ...args]) => redis.call(name, ...args)),
  ]);
  const [executed] = await Promise.allSettled([redis.call('EXEC')]);
  const refused = (await queued).find(({ status }) => status === 'rejected');
  if (refused?.status === 'rejected') throw refused.reason;
  if (executed.status === 'rejected') throw executed.reason;
  return (executed.value as unknown[]).map((value) =>
    value instanceof Error ? { status: 'rejected', reason: value } : { status: 'fulfilled', value },
  );
}

function outcome(reply: PromiseSettledResult<unknown>, encode: (reply: unknown) => unknown): object {
  return reply.status === 'fulfilled' ? { result: encode(reply.value) } : { error: text(reply.reason) };
}

/** The status alone stays as it is. */
function encoded(reply: unknown): unknown {
  return reply === 'OK' ? reply : encodedDeep(reply);
}

function encodedDeep(reply: unknown): unknown {
  if (typeof reply === 'string') return Buffer.from(reply).toString('base64');
  return Array.isArray(reply) ? reply.map(encodedDeep) : reply;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Who still sends would not read the answer.
    if (size <= mostBytes) chunks.push(chunk);
  }
  if (size > mostBytes) throw new ArgumentError(`The request is larger than ${mostBytes} bytes`);
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status;
  response.end(JSON.stringify(body));
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
