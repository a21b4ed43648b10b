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
import { type Name, nameKey } from '../name-parts.ts';
import { runScript } from '../script.ts';
import { counterAddScript } from '../scripts/counter-add.ts';
import { counterReadScript } from '../scripts/counter-read.ts';

/** Options of {@link createCounters}. */
export interface CountersOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /** How far back it is counted, such as `"1h"`. */
  readonly window: Duration;
  /**
   * In how many parts of equal length the window is counted: as exact as that it moves.
   *
   * @defaultValue 60
   */
  readonly buckets?: number;
}

/** What was counted in a window. */
export interface CounterReading {
  /** All together. */
  readonly total: number;
  /** Each part of the window, the oldest first; the last one is not over yet. */
  readonly series: readonly { readonly at: Date; readonly count: number }[];
}

/** Counters of tenants. Every method rejects within the timeout of the executor if Redis does not answer. */
export interface Counters {
  /**
   * Counts something now.
   *
   * @param amount - A whole number; less than 0 takes back.
   * @returns What was counted in the present part of the window.
   */
  add(tenant: string, name: Name, amount?: number): Promise<number>;
  /** What was counted in the last window. */
  read(tenant: string, name: Name): Promise<CounterReading>;
  /** The same of several counters, in the order asked, as of one moment. */
  readMany(tenant: string, names: readonly Name[]): Promise<readonly CounterReading[]>;
}

const mostBuckets = 1_000;
const mostNames = 1_000;
/** A year. */
const longestMs = 366 * 86_400_000;

/**
 * Counts what happens over a sliding window, such as the calls of the last hour, for all processes.
 *
 * The window moves in steps of a bucket: with 60 buckets an hour is counted to the minute. Time is the server's. A
 * counter is one hash of as many fields as there are buckets in use, and expires with what it counts.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @example
 * const calls = createCounters({ redis, window: '1h' });
 * await calls.add('acme', ['calls', 'missed']);
 * (await calls.read('acme', ['calls', 'missed'])).total; // 1
 */
export function createCounters(options: CountersOptions): Counters {
  assertKnownOptions('createCounters', options, ['redis', 'namespace', 'window', 'buckets']);
  const { redis, namespace = defaultNamespace, buckets = 60 } = options;
  assertExecutor('createCounters', redis);
  assertNamespace(namespace);
  const windowMs = durationMs(options.window, 'window');
  if (windowMs < 1 || windowMs > longestMs) throw new ConfigurationError('window: give 1 ms to a year');
  if (!Number.isInteger(buckets) || buckets < 1 || buckets > mostBuckets) {
    throw new ConfigurationError(`buckets: give a whole number from 1 to ${mostBuckets}`);
  }
  const bucketMs = windowMs / buckets;
  if (!Number.isInteger(bucketMs)) {
    throw new ConfigurationError(
      `buckets: ${buckets} do not divide ${windowMs} ms; each has a whole number of milliseconds`,
    );
  }
  // Another window or another number of buckets is another counter.
  const keyOf = (tenant: string, name: Name): string =>
    `${tenantPrefix(namespace, 'n', tenant)}count:${bucketMs}x${buckets}:${nameKey(name)}`;

  async function readMany(tenant: string, names: readonly Name[]): Promise<readonly CounterReading[]> {
    if (!Array.isArray(names) || names.length > mostNames) {
      throw new ArgumentError(`names: give a list of at most ${mostNames}`);
    }
    if (names.length === 0) return [];
    const keys = names.map((name) => keyOf(tenant, name));
    const [began, ...found] = await runScript(redis, counterReadScript, keys, [bucketMs, buckets]);
    return found.map((pairs) => reading(began, pairs));
  }

  function reading(began: number, pairs: readonly number[]): CounterReading {
    const counts = new Array<number>(buckets).fill(0);
    let total = 0;
    for (let index = 0; index < pairs.length; index += 2) {
      const count = pairs[index + 1] as number;
      // The clock of a server that took over may be behind.
      counts[buckets - 1 - Math.max(0, pairs[index] as number)] = count;
      total += count;
    }
    return {
      total,
      series: counts.map((count, index) => ({
        at: new Date(began - (buckets - 1 - index) * bucketMs),
        count,
      })),
    };
  }

  return {
    async add(tenant, name, amount = 1) {
      if (!Number.isSafeInteger(amount)) {
        throw new ArgumentError(`amount: give a whole number; got ${String(amount)}`);
      }
      const key = keyOf(tenant, name);
      return runScript(redis, counterAddScript, [key], [amount, bucketMs, buckets]);
    },
    async read(tenant, name) {
      const [only] = await readMany(tenant, [name]);
      return only as CounterReading;
    },
    readMany,
  };
}
