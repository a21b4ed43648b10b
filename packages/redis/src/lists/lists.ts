import {
  ArgumentError,
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  ConfigurationError,
  type Duration,
  defaultNamespace,
  durationMs,
  type RedisExecutor,
  tenantPrefix,
} from '@cachekit/core';
import { fromJson, toJson } from '../json-value.ts';
import { type Name, nameKey } from '../name-parts.ts';
import { runScript } from '../script.ts';
import { listAppendScript } from '../scripts/list-append.ts';
import { listReadScript } from '../scripts/list-read.ts';

/** Options of {@link createLists}. */
export interface ListsOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /** How long an element is kept after it was appended, such as `"30m"`. */
  readonly ttl: Duration;
  /**
   * How many elements of a list are kept; the oldest go first.
   *
   * @defaultValue 100
   */
  readonly length?: number;
}

/** An element of a list. */
export interface ListElement<T> {
  readonly value: T;
  readonly at: Date;
}

/** Lists of tenants. Every method rejects within the timeout of the executor if Redis does not answer. */
export interface Lists<T> {
  /** Appends something that JSON can hold. */
  append(tenant: string, name: Name, value: T): Promise<void>;
  /** What was appended last, if it is not too old. */
  last(tenant: string, name: Name): Promise<ListElement<T> | undefined>;
  /** The last elements, the newest first. */
  recent(tenant: string, name: Name, count?: number): Promise<readonly ListElement<T>[]>;
  /** Forgets a list. @returns Whether there was one. */
  clear(tenant: string, name: Name): Promise<boolean>;
}

const mostElements = 10_000;
/** A year. */
const longestMs = 366 * 86_400_000;

/**
 * Keeps the last results of something for a while, for all processes: of each tool of a chat, of each job.
 *
 * Every element is gone `ttl` after it was appended, whatever is appended later; the list expires with its last one.
 * Whoever appends at the same time loses nothing: one script appends and cuts off what is too much.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @example
 * const results = createLists<{ found: number }>({ redis, ttl: '30m' });
 * await results.append('acme', ['chat-7', 'search'], { found: 3 });
 * (await results.last('acme', ['chat-7', 'search']))?.value; // { found: 3 }
 */
export function createLists<T>(options: ListsOptions): Lists<T> {
  assertKnownOptions('createLists', options, ['redis', 'namespace', 'ttl', 'length']);
  const { redis, namespace = defaultNamespace, length = 100 } = options;
  assertExecutor('createLists', redis);
  assertNamespace(namespace);
  const ttlMs = Math.ceil(durationMs(options.ttl, 'ttl'));
  if (ttlMs < 1 || ttlMs > longestMs)
    throw new ConfigurationError('ttl: give more than 0 and at most a year');
  if (!isCount(length)) throw new ConfigurationError(`length: give a whole number from 1 to ${mostElements}`);
  const keyOf = (tenant: string, name: Name): string =>
    `${tenantPrefix(namespace, 'n', tenant)}list:${nameKey(name)}`;

  async function recent(tenant: string, name: Name, count = length): Promise<readonly ListElement<T>[]> {
    if (!isCount(count)) throw new ArgumentError(`count: give a whole number from 1 to ${mostElements}`);
    const found = await runScript(redis, listReadScript, [keyOf(tenant, name)], [count, ttlMs]);
    return found.map((text) => {
      const colon = text.indexOf(':');
      return { value: fromJson(text.slice(colon + 1)) as T, at: new Date(Number(text.slice(0, colon))) };
    });
  }

  return {
    async append(tenant, name, value) {
      const args = [toJson(value, 'value'), length, ttlMs];
      await runScript(redis, listAppendScript, [keyOf(tenant, name)], args);
    },
    async last(tenant, name) {
      const [newest] = await recent(tenant, name, 1);
      return newest;
    },
    recent,
    async clear(tenant, name) {
      return (await redis.command('DEL', keyOf(tenant, name))) === 1;
    },
  };
}

function isCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= mostElements;
}
