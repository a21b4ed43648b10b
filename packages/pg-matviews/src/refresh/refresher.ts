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
import { isStored, type ViewDefinition } from '../view.ts';
import { dirtyAncestors, refreshOrder } from './ancestry.ts';
import { Coalesced, type OpenDemand } from './coalesce.ts';
import { type Pace, retryMs } from './due.ts';
import { Listeners, type RefresherEvents } from './events.ts';
import { RefreshLoop } from './loop.ts';
import { markGroups, reconcileRollup, relationFor } from './rollup-calls.ts';
import {
  databaseTime,
  type RefreshWhen,
  type RunLimits,
  type RunOutcome,
  recordFailure,
  runRefresh,
} from './run.ts';
import { runRollup } from './run-rollup.ts';
import { schedulesOf, type ViewSchedule, type ViewScheduleOptions } from './schedule.ts';
import { Scheduler } from './scheduler.ts';
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
  /**
   * Times at which views are refreshed as a whole whether they are marked or not, by their names: cron expressions of
   * five fields. One process of all does it; a time that passes while none runs is left out.
   */
  readonly schedule?: Readonly<Record<string, ViewScheduleOptions>>;
  readonly clock?: Clock;
}

/** Which part of a view a caller wants refreshed. */
export interface RefreshOptions extends WaitOptions {
  /** Of a rollup: only groups with these values of key columns, such as `{ user_id: 7 }`, marked or not. */
  readonly where?: Readonly<Record<string, unknown>>;
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

/** What {@link Refresher.reconcile} found. */
export interface Reconciliation {
  readonly view: string;
  /** Groups that were compared. */
  readonly groups: number;
  /** Groups that were wrong and not marked; they are right now. */
  readonly healed: number;
}

/** Keeps materialized views and rollups fresh. */
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
  refresh(name: string, options?: RefreshOptions): Promise<Freshness>;
  /**
   * Resolves when the view holds everything committed before the call: at once if nothing is marked, else after a
   * refresh that does not wait for the debounce. Read your writes: commit, `waitFresh`, read. A plain view waits for the
   * views it is computed from.
   *
   * @throws As {@link refresh}.
   */
  waitFresh(name: string, options?: WaitOptions): Promise<Freshness>;
  /**
   * What to call when something wrote many rows: resolves when every view that one of the tables marks is fresh.
   *
   * @param tables - As named in the definitions.
   * @throws As {@link refresh}.
   */
  afterSync(tables: readonly string[], options?: WaitOptions): Promise<readonly Freshness[]>;
  /**
   * Compares a rollup with its rows in one snapshot, and refreshes what is wrong although nothing marks it: after writes
   * that fire no triggers. It reads the whole table.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` if it is no rollup.
   */
  reconcile(name: string, options?: WaitOptions): Promise<Reconciliation>;
  /**
   * The relation to read a rollup from, quoted: the view, if everything that was committed `maxStaleness` ago is in it,
   * else `<name>_live`, which is exact and costs more.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` if it is no rollup.
   */
  relation(name: string, options: { readonly maxStaleness: Duration }): Promise<string>;
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
 * Refreshes materialized views and rollups when their sources changed, one refresh at a time, whatever the number of processes.
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
    'schedule',
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
  readonly #views: ReadonlyMap<string, ViewDefinition>;
  readonly #pace: Pace;
  readonly #leading: Pace;
  readonly #limits: RunLimits;
  readonly #clock: Clock;
  readonly #listeners = new Listeners();
  readonly #runs = new Map<string, Coalesced<Demand, RunOutcome>>();
  readonly #failures = new Map<string, number>();
  readonly #schedules: ReadonlyMap<string, ViewSchedule>;
  #loop: RefreshLoop | undefined;
  #scheduler: Scheduler | undefined;

  constructor(options: RefresherOptions) {
    this.#sql = options.sql;
    this.#listener = options.listener;
    this.#clock = options.clock ?? systemClock;
    this.#views = new Map(options.views.map((view) => [view.name, view]));
    this.#names = options.views.filter(({ kind }) => isStored(kind)).map(({ name }) => name);
    if (this.#names.length === 0)
      throw new ConfigurationError('createRefresher: no view is materialized or a rollup');
    this.#pace = {
      debounceMs: durationMs(options.debounce ?? '250ms', 'debounce'),
      maxWaitMs: durationMs(options.maxWait ?? '2s', 'maxWait'),
    };
    if (this.#pace.maxWaitMs < this.#pace.debounceMs) {
      throw new ConfigurationError('createRefresher: maxWait is at least debounce');
    }
    this.#schedules = schedulesOf(options.schedule ?? {}, this.#names);
    this.#leading = { ...this.#pace, leading: true };
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
      paceOf: (view) => (this.#isRollup(view) ? this.#leading : this.#pace),
      refresh: (view) => this.#refreshMarked(view),
      failed: (error) => this.#listeners.emit('error', { error }),
    });
    this.#loop.start();
    this.#scheduler = new Scheduler({
      sql: this.#sql,
      clock: this.#clock,
      schedules: this.#schedules,
      refresh: (view) => this.refresh(view),
      failed: (error) => this.#listeners.emit('error', { error }),
    });
    this.#scheduler.start();
  }

  async stop(): Promise<void> {
    const loop = this.#loop;
    const scheduler = this.#scheduler;
    this.#loop = undefined;
    this.#scheduler = undefined;
    await Promise.all([loop?.stop(), scheduler?.stop()]);
  }

  async refresh(name: string, options: RefreshOptions = {}): Promise<Freshness> {
    assertKnownOptions('refresh', options, ['timeout', 'where']);
    const { where, ...wait } = options;
    if (where === undefined) return this.#complete(name, true, wait);
    await markGroups(this.#sql, this.#rollup(name), where);
    return this.#complete(name, false, wait);
  }

  waitFresh(name: string, options?: WaitOptions): Promise<Freshness> {
    return this.#views.get(name)?.kind === 'view'
      ? this.#completeBelow(name, options)
      : this.#complete(name, false, options);
  }

  async afterSync(tables: readonly string[], options?: WaitOptions): Promise<readonly Freshness[]> {
    const marked = this.#names.filter((name) =>
      this.#views.get(name)?.sources.some(({ table }) => tables.includes(table)),
    );
    if (marked.length === 0) throw new ArgumentError(`No view is marked by ${tables.join(', ')}`);
    return Promise.all(marked.map((name) => this.waitFresh(name, options)));
  }

  async reconcile(name: string, options?: WaitOptions): Promise<Reconciliation> {
    const found = await reconcileRollup(this.#sql, this.#rollup(name), this.#limits);
    if (found.healed > 0) await this.#complete(name, false, options);
    return found;
  }

  async relation(name: string, options: { readonly maxStaleness: Duration }): Promise<string> {
    assertKnownOptions('relation', options, ['maxStaleness']);
    const maxStalenessMs = durationMs(options.maxStaleness, 'maxStaleness');
    return relationFor(this.#sql, this.#rollup(name), maxStalenessMs);
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

  #isRollup(name: string): boolean {
    return this.#views.get(name)?.kind === 'rollup';
  }

  #rollup(name: string): string {
    if (!this.#isRollup(name)) throw new ArgumentError(`The refresher has no rollup "${name}"`);
    return name;
  }

  /** Freshens what a plain view is computed from. */
  async #completeBelow(name: string, options: WaitOptions = {}): Promise<Freshness> {
    const since = await databaseTime(this.#sql);
    for (const below of await dirtyAncestors(this.#sql, name)) {
      if (this.#names.includes(below)) await this.#complete(below, false, options);
    }
    return { view: name, freshAsOf: Number(since) / 1000 };
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
      const run = this.#isRollup(view) ? runRollup : runRefresh;
      const outcome = await run(this.#sql, view, this.#limits, when, () => this.#clock.now());
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
