import type { Cache } from './cache/cache.ts';
import type { CacheListener } from './cache/cache-events.ts';
import { type Duration, durationMs } from './duration.ts';
import { assertKnownOptions, ConfigurationError, isCacheKitError, type LoadTimeoutError } from './errors.ts';
import { Events } from './events.ts';
import { percent } from './metrics/metrics.ts';
import { type Clock, systemClock, type Timer } from './ports/clock.ts';
import type { RedisStatsSource } from './ports/redis-stats.ts';

/**
 * What there is to be alarmed about.
 *
 * | kind             | raised when                                                     | `value`                        |
 * | ---------------- | --------------------------------------------------------------- | ------------------------------ |
 * | `hit-rate`       | of the requests since the last check too few were hits          | hits of 100                    |
 * | `redis-memory`   | Redis uses too much of the memory it may use                    | percent                        |
 * | `pool-exhausted` | every connection is in use and somebody waits for one           | how many wait                  |
 * | `slow-load`      | a load took too long; cleared by a check with none since the last | milliseconds, of the slowest |
 */
export type AlertKind = 'hit-rate' | 'redis-memory' | 'pool-exhausted' | 'slow-load';

/** Something that is not as it should be. */
export interface Alert {
  readonly kind: AlertKind;
  readonly value: number;
  readonly threshold: number;
  /** When it was found so first, milliseconds since the epoch. */
  readonly since: number;
  /** The key of a slow load. */
  readonly key?: string;
}

/** What {@link createAlerts} takes. */
export interface AlertsOptions {
  readonly cache: Pick<Cache, 'metrics' | 'on' | 'off'>;
  /** Asks Redis. Absent: nobody watches its memory. */
  readonly redis?: RedisStatsSource;
  /** Says how busy the pool of the database is, such as `() => poolPressure(pool)`. Absent: nobody watches it. */
  readonly pool?: () => { readonly max: number; readonly used: number; readonly waiting: number };
  /** From where on things are not as they should be. */
  readonly thresholds?: AlertThresholds;
  /** How long from check to check. @defaultValue `"1m"` */
  readonly every?: Duration;
  readonly clock?: Clock;
}

/** From where on {@link createAlerts} raises an alert. */
export interface AlertThresholds {
  /** Fewer hits of 100 requests than this. @defaultValue 60 */
  readonly hitRate?: number;
  /** As long as there were fewer requests nothing is said of their hit rate. @defaultValue 100 */
  readonly minRequests?: number;
  /** More percent of the memory than this. @defaultValue 80 */
  readonly redisMemory?: number;
  /** A load that took longer than this, or was given up after it. @defaultValue `"2s"` */
  readonly slowLoad?: Duration;
}

/** What alerts tell, by name of the event. */
export interface AlertEvents {
  /** Something is not as it should be. Told once, however long it lasts. */
  raised: Alert;
  /** It is again. */
  cleared: Alert;
  /** What was to be asked did not answer; what it said before still stands. */
  unknown: { readonly kind: AlertKind; readonly error: unknown };
}

/** A watch over a cache. Made by {@link createAlerts}. */
export interface Alerts {
  /** Watches from now on, until `stop`. The timer does not keep the process alive. */
  start(): void;
  /** Ends what `start` began, and forgets nothing. */
  stop(): void;
  /** Looks now, and gives what is not as it should be. Never rejects. */
  check(): Promise<readonly Alert[]>;
  /** What is not as it should be, as last seen. */
  readonly active: readonly Alert[];
  /** Calls `listener` at every event of that name. */
  on<Name extends keyof AlertEvents>(name: Name, listener: (event: AlertEvents[Name]) => void): void;
  /** Ends what {@link Alerts.on} began with the same listener. */
  off<Name extends keyof AlertEvents>(name: Name, listener: (event: AlertEvents[Name]) => void): void;
}

/**
 * Makes a watch that tells when a cache, its Redis or the pool of its database is not as it should be.
 *
 * It reads the counters that are there anyway, once per check; a cache that nobody watches pays nothing.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown options and thresholds that are no numbers.
 * @example
 * const alerts = createAlerts({ cache, pool: () => poolPressure(pool) });
 * alerts.on('raised', ({ kind, value, threshold }) => console.warn(`${kind}: ${value} (${threshold})`));
 * alerts.start();
 */
export function createAlerts(options: AlertsOptions): Alerts {
  return new Watch(options);
}

const alertsOptions = ['cache', 'redis', 'pool', 'thresholds', 'every', 'clock'];
const thresholdOptions = ['hitRate', 'minRequests', 'redisMemory', 'slowLoad'];

class Watch implements Alerts {
  readonly #options: AlertsOptions;
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #hitRate: number;
  readonly #minRequests: number;
  readonly #redisMemory: number;
  readonly #slowLoadMs: number;
  readonly #events = new Events<AlertEvents>();
  readonly #active = new Map<AlertKind, Alert>();
  #timer: Timer | undefined;
  #started = false;
  /** What was counted at the last check that had enough requests. */
  #before = { hits: 0, totalRequests: 0, since: 0 };
  #slowest: { readonly key: string; readonly durationMs: number } | undefined;

  constructor(options: AlertsOptions) {
    assertKnownOptions('createAlerts', options, alertsOptions);
    const { thresholds = {}, every = '1m', clock = systemClock, cache } = options;
    if (typeof cache?.metrics !== 'function') throw new ConfigurationError('createAlerts: cache is a cache');
    for (const name of ['redis', 'pool'] as const) {
      if (options[name] === undefined || typeof options[name] === 'function') continue;
      throw new ConfigurationError(`createAlerts: ${name} is a function; got ${String(options[name])}`);
    }
    assertKnownOptions('createAlerts: thresholds', thresholds, thresholdOptions);
    this.#options = options;
    this.#clock = clock;
    this.#everyMs = durationMs(every, 'createAlerts: every');
    if (this.#everyMs === 0) throw new ConfigurationError('createAlerts: every is more than 0; got 0');
    this.#hitRate = threshold('hitRate', thresholds.hitRate ?? 60);
    this.#minRequests = threshold('minRequests', thresholds.minRequests ?? 100);
    this.#redisMemory = threshold('redisMemory', thresholds.redisMemory ?? 80);
    this.#slowLoadMs = durationMs(thresholds.slowLoad ?? '2s', 'createAlerts: thresholds.slowLoad');
  }

  get active(): readonly Alert[] {
    return [...this.#active.values()];
  }

  on<Name extends keyof AlertEvents>(name: Name, listener: (event: AlertEvents[Name]) => void): void {
    this.#events.on(name, listener);
  }

  off<Name extends keyof AlertEvents>(name: Name, listener: (event: AlertEvents[Name]) => void): void {
    this.#events.off(name, listener);
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#options.cache.on('load', this.#loaded);
    this.#options.cache.on('loadError', this.#failed);
    this.#next();
  }

  stop(): void {
    if (!this.#started) return;
    this.#started = false;
    this.#clock.clearTimeout(this.#timer);
    this.#options.cache.off('load', this.#loaded);
    this.#options.cache.off('loadError', this.#failed);
  }

  async check(): Promise<readonly Alert[]> {
    this.#checkHitRate();
    this.#checkSlowLoads();
    this.#checkPool();
    await this.#checkRedis();
    return this.active;
  }

  #next(): void {
    this.#timer = this.#clock.setTimeout(() => {
      void this.check().then(() => {
        if (this.#started) this.#next();
      });
    }, this.#everyMs);
  }

  readonly #loaded: CacheListener<'load'> = ({ key, durationMs }) => this.#took(key, durationMs);

  readonly #failed: CacheListener<'loadError'> = ({ key, error }) => {
    if (isCacheKitError(error, 'LOAD_TIMEOUT')) this.#took(key, (error as LoadTimeoutError).timeoutMs);
  };

  #took(key: string, durationMs: number): void {
    if (durationMs <= this.#slowLoadMs) return;
    if (this.#slowest !== undefined && durationMs <= this.#slowest.durationMs) return;
    this.#slowest = { key, durationMs };
    this.#raise('slow-load', durationMs, this.#slowLoadMs, key);
  }

  #checkSlowLoads(): void {
    if (this.#slowest === undefined) this.#clear('slow-load');
    this.#slowest = undefined;
  }

  #checkHitRate(): void {
    const { cache, since } = this.#options.cache.metrics();
    const { hits, totalRequests } = cache.overall;
    const reset = since !== this.#before.since || totalRequests < this.#before.totalRequests;
    if (reset) this.#before = { hits: 0, totalRequests: 0, since };
    const requests = totalRequests - this.#before.totalRequests;
    if (requests < this.#minRequests) return;
    const rate = percent(hits - this.#before.hits, requests);
    this.#before = { hits, totalRequests, since };
    if (rate < this.#hitRate) this.#raise('hit-rate', rate, this.#hitRate);
    else this.#clear('hit-rate');
  }

  #checkPool(): void {
    const { pool } = this.#options;
    if (pool === undefined) return;
    try {
      const { max, used, waiting } = pool();
      if (used >= max && waiting > 0) this.#raise('pool-exhausted', waiting, 0);
      else this.#clear('pool-exhausted');
    } catch (error) {
      this.#events.emit('unknown', { kind: 'pool-exhausted', error });
    }
  }

  async #checkRedis(): Promise<void> {
    const { redis } = this.#options;
    if (redis === undefined) return;
    try {
      const { memory } = await redis();
      const used = memory.memoryUsagePercent;
      if (used !== null && used > this.#redisMemory) this.#raise('redis-memory', used, this.#redisMemory);
      else this.#clear('redis-memory');
    } catch (error) {
      this.#events.emit('unknown', { kind: 'redis-memory', error });
    }
  }

  #raise(kind: AlertKind, value: number, limit: number, key?: string): void {
    const before = this.#active.get(kind);
    const since = before?.since ?? this.#clock.now();
    const alert: Alert = { kind, value, threshold: limit, since, ...(key === undefined ? {} : { key }) };
    this.#active.set(kind, alert);
    if (before === undefined) this.#events.emit('raised', alert);
  }

  #clear(kind: AlertKind): void {
    const alert = this.#active.get(kind);
    if (alert === undefined) return;
    this.#active.delete(kind);
    this.#events.emit('cleared', alert);
  }
}

function threshold(name: string, value: number): number {
  if (typeof value === 'number' && value >= 0) return value;
  throw new ConfigurationError(
    `createAlerts: thresholds.${name} is a number of 0 or more; got ${String(value)}`,
  );
}
