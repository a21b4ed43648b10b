import {
  assertKnownOptions,
  ConfigurationError,
  type Duration,
  type RedisExecutor,
  systemClock,
} from '@cachekit/core';
import { commandTimeoutMs } from '../executors/command-timeout.ts';
import { ioredisExecutor } from '../executors/ioredis.ts';
import { upstashExecutor } from '../executors/upstash.ts';

/** What {@link redisFromEnv} reads. */
export type RedisEnvironment = Readonly<Record<string, string | undefined>>;

/** Options of {@link redisFromEnv}. */
export interface RedisFromEnvOptions {
  /** @defaultValue `process.env`, or nothing where there is none */
  readonly env?: RedisEnvironment;
  /**
   * The longest a call may take, as of the executor that is chosen. A request to Upstash is not repeated later either.
   *
   * @defaultValue 250 ms over a connection, 1 second over REST
   */
  readonly commandTimeout?: Duration;
}

/**
 * Chooses Redis by configuration alone.
 *
 * | set                                                      | is                                   | client that must be installed |
 * | -------------------------------------------------------- | ------------------------------------ | ----------------------------- |
 * | `UPSTASH_REDIS_REST_URL` and `UPSTASH_REDIS_REST_TOKEN`  | {@link upstashExecutor}              | `@upstash/redis`              |
 * | `REDIS_URL`, and not both of those                       | {@link ioredisExecutor}              | `ioredis`                     |
 * | neither                                                  | `undefined`: go on with memory alone | none                          |
 *
 * Empty counts as not set, and blanks around a value do not count. Nothing connects before the first call. The client is loaded when it is chosen.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the URL is none or its password not escaped, if of the two variables of
 * Upstash one is missing and there is no `REDIS_URL`, if the client is not installed, or for a wrong option.
 * @example
 * const redis = await redisFromEnv();
 * const cache = createCache(redis === undefined ? {} : { remote: redisTier({ redis }) });
 */
export async function redisFromEnv(options: RedisFromEnvOptions = {}): Promise<RedisExecutor | undefined> {
  assertKnownOptions('redisFromEnv', options, ['env', 'commandTimeout']);
  const { commandTimeout } = options;
  const timeoutMs = commandTimeout === undefined ? undefined : commandTimeoutMs(commandTimeout);
  const env = options.env ?? globalThis.process?.env ?? {};
  const rest = env.UPSTASH_REDIS_REST_URL?.trim() ?? '';
  const token = env.UPSTASH_REDIS_REST_TOKEN?.trim() ?? '';
  const url = env.REDIS_URL?.trim() ?? '';
  if (rest !== '' && token !== '') return overRest(rest, token, timeoutMs);
  if (url !== '') return overConnection(url, timeoutMs);
  if (rest === '' && token === '') return undefined;
  const missing = rest === '' ? 'UPSTASH_REDIS_REST_URL' : 'UPSTASH_REDIS_REST_TOKEN';
  throw new ConfigurationError(`${missing} is not set, and the other variable of Upstash is`);
}

async function overRest(url: string, token: string, timeoutMs = 1_000): Promise<RedisExecutor> {
  assertUrl('UPSTASH_REDIS_REST_URL', url, ['https:', 'http:']);
  const { Redis } = await installed('@upstash/redis', () => import('@upstash/redis'));
  const client = new Redis({
    url,
    token,
    automaticDeserialization: false,
    enableTelemetry: false,
    signal: () => givenUpAfter(timeoutMs),
  });
  return upstashExecutor(client, { commandTimeout: timeoutMs });
}

/** Ends a request, and with it its repetitions, when nobody waits for it any more. */
function givenUpAfter(timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  systemClock.setTimeout(() => controller.abort(), timeoutMs);
  return controller.signal;
}

async function overConnection(url: string, timeoutMs = 250): Promise<RedisExecutor> {
  assertUrl('REDIS_URL', url, ['redis:', 'rediss:']);
  assertDecodable('REDIS_URL', new URL(url));
  const { Redis } = await installed('ioredis', () => import('ioredis'));
  return ioredisExecutor(new Redis(url, { lazyConnect: true }), { commandTimeout: timeoutMs });
}

async function installed<Client>(name: string, load: () => Promise<Client>): Promise<Client> {
  try {
    return await load();
  } catch {
    throw new ConfigurationError(`The environment asks for ${name}; install it`);
  }
}

/** What is wrong is said without the URL, which may hold a password. */
function assertUrl(variable: string, url: string, protocols: readonly string[]): void {
  if (!URL.canParse(url) || !protocols.includes(new URL(url).protocol)) {
    throw new ConfigurationError(
      `${variable} is no URL that begins with ${protocols.map((each) => `${each}//`).join(' or ')}`,
    );
  }
}

/** The client would say only that something is malformed. */
function assertDecodable(variable: string, { username, password }: URL): void {
  try {
    decodeURIComponent(username + password);
  } catch {
    throw new ConfigurationError(
      `${variable} has a % in its user or password that begins no escape; write %25`,
    );
  }
}
