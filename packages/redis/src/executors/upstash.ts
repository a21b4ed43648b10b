import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  type RedisArgument,
  type RedisCapabilities,
  type RedisExecutor,
  type RedisScript,
  type RedisSubscriber,
  systemClock,
} from '@cachekit/core';
import { RedisUnavailableError, UnsupportedByClientError } from '../errors.ts';
import { prefixPattern } from '../scan.ts';
import { digestOf, knownDigest } from '../script.ts';
import { commandTimeoutMs } from './command-timeout.ts';
import { replyError } from './reply-error.ts';
import { replyWithin } from './reply-within.ts';
import type { UpstashLike } from './upstash-like.ts';

/** Options of {@link upstashExecutor}. */
export interface UpstashExecutorOptions {
  /**
   * The longest a call may take.
   *
   * @defaultValue 1 s
   */
  readonly commandTimeout?: Duration;
}

/**
 * Runs CacheKit's commands on Upstash Redis, or whatever speaks its REST protocol, over a client of `@upstash/redis`.
 *
 * It holds no connection and cannot subscribe, so memory hears of others through a log that is read once a second.
 *
 * - A call settles within `commandTimeout`. The client repeats requests that failed on the way; give it
 *   `signal: () => AbortSignal.timeout(1_000)`, so that a write that was given up is not repeated later.
 * - Errors that Redis replies are thrown with its text alone; the client would add the whole command.
 *
 * @param client - Made with `automaticDeserialization: false`: otherwise it hands out numbers and objects for texts that
 * look like them.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the client changes what it reads, or for a wrong option.
 * @see https://upstash.com/docs/redis/features/restapi
 * @example
 * import { Redis } from '@upstash/redis';
 *
 * const client = new Redis({
 *   url: process.env.UPSTASH_REDIS_REST_URL ?? '',
 *   token: process.env.UPSTASH_REDIS_REST_TOKEN ?? '',
 *   automaticDeserialization: false,
 *   signal: () => AbortSignal.timeout(1_000),
 * });
 * const redis = upstashExecutor(client);
 * const cache = createCache({ remote: redisTier({ redis }) });
 */
export function upstashExecutor(client: UpstashLike, options: UpstashExecutorOptions = {}): RedisExecutor {
  assertKnownOptions('upstashExecutor', options, ['commandTimeout']);
  const timeoutMs = commandTimeoutMs(options.commandTimeout ?? 1_000);
  if (typeof client?.exec !== 'function') {
    throw new ConfigurationError('upstashExecutor: give a client of @upstash/redis, 1.34 or later');
  }
  const { opts } = client as { opts?: { automaticDeserialization?: boolean } };
  if (opts !== undefined && opts.automaticDeserialization !== false) {
    throw new ConfigurationError('upstashExecutor: make the client with automaticDeserialization: false');
  }
  return new UpstashExecutor(client, timeoutMs, systemClock);
}

class UpstashExecutor implements RedisExecutor {
  readonly capabilities: RedisCapabilities = { cluster: false, subscribe: false };
  readonly timeoutMs: number;
  readonly #client: UpstashLike;
  readonly #clock: Clock;
  #closed = false;

  constructor(client: UpstashLike, timeoutMs: number, clock: Clock) {
    this.#client = client;
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  command(name: string, ...args: RedisArgument[]): Promise<unknown> {
    return this.#limited(name, this.#send(name, [name, ...args]));
  }

  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#limited(script.name, this.#evaluate(script, keys, args));
  }

  async *scan(prefix: string): AsyncGenerator<readonly string[], void, void> {
    const pattern = prefixPattern(prefix);
    let cursor = '0';
    do {
      const page = await this.command('SCAN', cursor, 'MATCH', pattern, 'COUNT', 512);
      const [next, keys] = page as [string, string[]];
      cursor = String(next);
      if (keys.length > 0) yield keys;
    } while (cursor !== '0');
  }

  subscriber(): RedisSubscriber {
    throw new UnsupportedByClientError('@upstash/redis', 'subscriptions');
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #evaluate(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<unknown> {
    const digest = knownDigest(script) ?? (await digestOf(script));
    const rest = [keys.length, ...keys, ...args];
    try {
      return await this.#send(script.name, ['EVALSHA', digest, ...rest]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return this.#send(script.name, ['EVAL', script.lua, ...rest]);
    }
  }

  async #send(operation: string, command: [name: string, ...args: RedisArgument[]]): Promise<unknown> {
    if (this.#closed) {
      throw new RedisUnavailableError(operation, { message: 'the executor is closed', sent: false });
    }
    try {
      return await this.#client.exec(command);
    } catch (cause) {
      if (isGivenUp(cause)) {
        throw new RedisUnavailableError(operation, { message: 'no reply in time', sent: true, cause });
      }
      const message = cause instanceof Error ? replyOf(cause.message) || cause.name : String(cause);
      // The client throws the same for a server that fails before any Redis is asked, whose text is none of Redis.
      if (cause instanceof Error && cause.name === 'UpstashError' && isReply(message))
        throw replyError(message);
      throw new RedisUnavailableError(operation, { message, sent: true, cause });
    }
  }

  #limited<T>(operation: string, work: Promise<T>): Promise<T> {
    return replyWithin(work, this.timeoutMs, this.#clock, operation);
  }
}

/** By the signal of the client, at about the moment when the executor would give up too. */
function isGivenUp(cause: unknown): boolean {
  return cause instanceof Error && (cause.name === 'AbortError' || cause.name === 'TimeoutError');
}

/** Redis begins each error with a word in capitals. */
function isReply(message: string): boolean {
  return /^[A-Z]{2,} /.test(message);
}

/** Without the command, which may hold the data of users. */
function replyOf(message: string): string {
  const end = message.indexOf(', command was: ');
  return end === -1 ? message : message.slice(0, end);
}
