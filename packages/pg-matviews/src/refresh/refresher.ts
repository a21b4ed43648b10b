import {
  ArgumentError,
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  type SqlExecutor,
  type SqlListener,
  systemClock,
  type Timer,
} from '@cachekit/core';
import { RefreshFailedError } from '../errors.ts';
import { fnv1a } from '../identifier.ts';
import { sqlState } from '../sql/sql-state.ts';
import type { ViewDefinition } from '../view.ts';
import { dirtyAncestors, refreshOrder } from './ancestry.ts';
import { Coalesced, type OpenDemand } from './coalesce.ts';
import { type Pace, retryMs } from './due.ts';
import { Listeners, type RefresherEvents } from './events.ts';
import { RefreshLoop } from './loop.ts';
import {
  databaseTime,
  type RefreshWhen,
  type RunLimits,
  type RunOutcome,
  recordFailure,
  runRefresh,
} from './run.ts';
import { readStatus, type ViewStatus } from './status.ts';

/** Options of {@link createRefresher}. */
export interface RefresherOptions {
  readonly sql: SqlExecutor;
  /** Wakes the refresher at the first change. Without it the refresher looks every 250 ms. */
  readonly listener?: SqlListener | undefined;
  /** The views it keeps fresh, as given to `createViews`; plain views among them are passed over. */
  readonly views: readonly ViewDefinition[];
  /** A refresh waits until nothing changed for this long. @defaultValue `250ms` */
  readonly debounce?: Duration;
  /** It never waits longer than this after the first change. @defaultValue `2s` */
  readonly maxWait?: Duration;
  /** Limits of one refresh. */
  readonly timeout?: {
    /** Waiting for a lock. @defaultValue `1s` */
    readonly lock?: Duration;
    /** The whole refresh; the server cancels it then. @defaultValue `10m` */
    readonly run?: Duration;
  };
  readonly clock?: Clock;
}

/** How long a caller waits. */
export interface WaitOptions {
  /** @defaultValue `30s` */
  readonly timeout?: Duration;
}

/** What a view is worth after a refresh that was waited for. */
export interface Freshness {
  readonly view: string;
  /** Every change committed before this time is in the view; milliseconds since the epoch by the database's clock. */
  readonly freshAsOf: number;
}

/** Keeps materialized views fresh. */
export interface Refresher {
  /**
   * Begins to refresh what is marked. Resolves when it watches.
   *
   * @throws ConfigurationError `INVALID_CONFIGURATION` if a view was never applied.
   */
  start(): Promise<void>;
  /** Resolves when no refresh of the loop is under way. */
  stop(): Promise<void>;
  /**
   * Refreshes a view now, marked or not, after the marked views it is computed from.
   *
   * The refresh begins after the call. Calls during a refresh share the one that follows it, in this process and with
   * other processes.
   *
   * @throws RefreshFailedError `REFRESH_FAILED` if it was never applied, or is not done within `timeout`.
   * @throws MissingUniqueIndexError `MISSING_UNIQUE_INDEX` before anything runs.
   * @throws The error of the database, unchanged.
   */
  refresh(name: string, options?: WaitOptions): Promise<Freshness>;
  /**
   * Resolves when the view holds everything committed before the call: at once if nothing is marked, else after a
   * refresh that does not wait for the debounce. Read your writes: commit, `waitFresh`, read.
   *
   * @throws As {@link refresh}.
   */
  waitFresh(name: string, options?: WaitOptions): Promise<Freshness>;
  /** How each view stands in the database, whoever refreshes it; those that were never applied are left out. */
  status(): Promise<readonly ViewStatus[]>;
  /** Calls `listener` with every event of that name; one that throws disturbs nobody else. */
  on<Name extends keyof RefresherEvents>(name: Name, listener: RefresherEvents[Name]): void;
  /** Ends what `on` began. */
  off<Name extends keyof RefresherEvents>(name: Name, listener: RefresherEvents[Name]): void;
}

/** Pause before a view is tried again that another process refreshes. */
const busyPauseMs = 25;
/** How long a view waits for a process that refreshes one it is computed from. */
const ancestorWaitMs = 30_000;

/**
 * Refreshes materialized views when their sources changed, one refresh at a time, whatever the number of processes.
 *
 * Any process may run one: of all that do, one refreshes a view at a time (a row lock, which ends with the
 * transaction and passes through a pooler). A change committed during a refresh is in the next one. When a process
 * dies, nothing is lost: its transaction is rolled back, the marks are there again and somebody else takes them.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, no materialized view, or a `maxWait` below
 * `debounce`.
 * @example
 * const refresher = createRefresher({ sql: pgExecutor(pool), listener, views: [callsPerDay] });
 * refresher.on('refreshed', ({ view, durationMs }) => console.log(view, durationMs));
 * await refresher.start();
 */
export function createRefresher(options: RefresherOptions): Refresher {
  assertKnownOptions('createRefresher', options, [
    'sql',
    'listener',
    'views',
    'debounce',
    'maxWait',
    'timeout',
    'clock',
  ]);
  assertKnownOptions('createRefresher: timeout', options.timeout ?? {}, ['lock', 'run']);
  if (typeof options.sql?.transaction !== 'function') {
    throw new ConfigurationError('createRefresher: sql is an SqlExecutor');
  }
  return new ViewRefresher(options);
}

class ViewRefresher implements Refresher {
  readonly #sql: SqlExecutor;
  readonly #listener: SqlListener | undefined;
  readonly #names: readonly string[];
  readonly #pace: Pace;
  readonly #limits: RunLimits;
  readonly #clock: Clock;
  readonly #listeners = new Listeners();
  readonly #runs = new Map<string, Coalesced<Demand, RunOutcome>>();
  readonly #failures = new Map<string, number>();
  #loop: RefreshLoop | undefined;

  constructor(options: RefresherOptions) {
    this.#sql = options.sql;
    this.#listener = options.listener;
    this.#clock = options.clock ?? systemClock;
    this.#names = options.views.filter(({ kind }) => kind === 'materialized').map(({ name }) => name);
    if (this.#names.length === 0) throw new ConfigurationError('createRefresher: no view is materialized');
    this.#pace = {
      debounceMs: durationMs(options.debounce ?? '250ms', 'debounce'),
      maxWaitMs: durationMs(options.maxWait ?? '2s', 'maxWait'),
    };
    if (this.#pace.maxWaitMs < this.#pace.debounceMs) {
      throw new ConfigurationError('createRefresher: maxWait is at least debounce');
    }
    this.#limits = {
      lockMs: positive(options.timeout?.lock ?? '1s', 'timeout.lock'),
      runMs: positive(options.timeout?.run ?? '10m', 'timeout.run'),
    };
  }

  async start(): Promise<void> {
    if (this.#loop !== undefined) throw new ArgumentError('The refresher has been started already');
    const views = await this.#applied();
    if (this.#loop !== undefined) throw new ArgumentError('The refresher has been started already');
    this.#loop = new RefreshLoop({
      sql: this.#sql,
      clock: this.#clock,
      listener: this.#listener,
      views,
      consumer: `view:${fnv1a([...views].sort().join('\0'))}`,
      pace: this.#pace,
      refresh: (view) => this.#refreshMarked(view),
      failed: (error) => this.#listeners.emit('error', { error }),
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    const loop = this.#loop;
    this.#loop = undefined;
    await loop?.stop();
  }

  refresh(name: string, options?: WaitOptions): Promise<Freshness> {
    return this.#complete(name, true, options);
  }

  waitFresh(name: string, options?: WaitOptions): Promise<Freshness> {
    return this.#complete(name, false, options);
  }

  status(): Promise<readonly ViewStatus[]> {
    return readStatus(this.#sql, this.#names);
  }

  on<Name extends keyof RefresherEvents>(name: Name, listener: RefresherEvents[Name]): void {
    this.#listeners.on(name, listener);
  }

  off<Name extends keyof RefresherEvents>(name: Name, listener: RefresherEvents[Name]): void {
    this.#listeners.off(name, listener);
  }

  /** A database that is away may come back; one to which the views were not applied will not by itself. */
  async #applied(): Promise<string[]> {
    try {
      const known = new Set((await this.status()).map(({ view }) => view));
      const missing = this.#names.filter((name) => !known.has(name));
      if (missing.length > 0) {
        throw new ConfigurationError(
          `createRefresher: "${missing.join('", "')}" was never applied; apply the views first`,
        );
      }
      return await refreshOrder(this.#sql, this.#names);
    } catch (error) {
      if (error instanceof ConfigurationError) throw error;
      const state = sqlState(error);
      if (state === '42P01' || state === '3F000') {
        throw new ConfigurationError('createRefresher: no views were ever applied to this database');
      }
      this.#listeners.emit('error', { error });
      return [...this.#names];
    }
  }

  async #refreshMarked(view: string): Promise<'done' | 'elsewhere' | { readonly retryInMs: number }> {
    try {
      const outcome = await this.#runsOf(view).request({ forced: false, until: 0 });
      return outcome.state === 'busy' ? 'elsewhere' : 'done';
    } catch {
      return { retryInMs: retryMs(this.#failures.get(view) ?? 1) };
    }
  }

  async #complete(name: string, forced: boolean, options: WaitOptions = {}): Promise<Freshness> {
    assertKnownOptions('refresh', options, ['timeout']);
    const timeoutMs = durationMs(options.timeout ?? '30s', 'timeout');
    if (!this.#names.includes(name))
      throw new ArgumentError(`The refresher has no materialized view "${name}"`);
    const until = this.#clock.now() + timeoutMs;
    let timer: Timer | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = this.#clock.setTimeout(() => resolve('late'), timeoutMs);
    });
    try {
      const outcome = await Promise.race([this.#runsOf(name).request({ forced, until }), late]);
      if (outcome === 'late' || outcome.state === 'busy') {
        throw new RefreshFailedError(name, `it was not done within ${timeoutMs} ms`);
      }
      const freshAsOf = outcome.state === 'clean' ? outcome.freshAsOf : outcome.event.freshAsOf;
      return { view: name, freshAsOf };
    } finally {
      this.#clock.clearTimeout(timer);
    }
  }

  #runsOf(view: string): Coalesced<Demand, RunOutcome> {
    let runs = this.#runs.get(view);
    if (runs === undefined) {
      runs = new Coalesced((open) => this.#refreshOnce(view, open), both);
      this.#runs.set(view, runs);
    }
    return runs;
  }

  /** One refresh, by this process or another; at once, or as soon as the other processes let it. */
  async #refreshOnce(view: string, open: OpenDemand<Demand>): Promise<RunOutcome> {
    // The loop leaves those to their own debounce.
    const ancestors = open.sofar.until > 0 ? await dirtyAncestors(this.#sql, view) : [];
    for (const ancestor of ancestors) {
      await this.#runsOf(ancestor).request({ forced: false, until: this.#clock.now() + ancestorWaitMs });
    }
    const { forced, until } = open.take();
    let outcome = await this.#attempt(view, forced ? 'always' : 'marked');
    if (outcome.state !== 'busy') return outcome;
    // A refresh of another process serves these requests if it begins from now on.
    const since = forced && until > this.#clock.now() ? await databaseTime(this.#sql) : undefined;
    while (outcome.state === 'busy' && this.#clock.now() < until) {
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, busyPauseMs));
      outcome = await this.#attempt(view, since ?? 'marked');
    }
    return outcome;
  }

  async #attempt(view: string, when: RefreshWhen): Promise<RunOutcome> {
    try {
      const outcome = await runRefresh(this.#sql, view, this.#limits, when, () => this.#clock.now());
      this.#failures.delete(view);
      if (outcome.state === 'refreshed') this.#listeners.emit('refreshed', outcome.event);
      return outcome;
    } catch (error) {
      await recordFailure(this.#sql, view, error).catch(() => undefined);
      const failures = (this.#failures.get(view) ?? 0) + 1;
      this.#failures.set(view, failures);
      this.#listeners.emit('failed', { view, error, failures, retryInMs: retryMs(failures) });
      throw error;
    }
  }
}

/** What the requests that one refresh serves ask for. */
interface Demand {
  /** Also if nothing is marked. */
  readonly forced: boolean;
  /** Until then it is worth waiting for another process. */
  readonly until: number;
}

function both(a: Demand, b: Demand): Demand {
  return { forced: a.forced || b.forced, until: Math.max(a.until, b.until) };
}

function positive(duration: Duration, name: string): number {
  const ms = durationMs(duration, name);
  if (ms > 0) return ms;
  throw new ConfigurationError(`createRefresher: ${name} is more than 0`);
}
