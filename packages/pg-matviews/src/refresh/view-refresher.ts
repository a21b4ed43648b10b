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
import { Listeners } from '../listeners.ts';
import { packageVersion, readInstalled } from '../migrate/installed.ts';
import { sqlState } from '../sql/sql-state.ts';
import { isStored, type ViewDefinition } from '../view.ts';
import { dirtyAncestors, refreshOrder } from './ancestry.ts';
import { defaultLockTimeout } from './default-lock-timeout.ts';
import { type Pace, retryMs } from './due.ts';
import type { RefresherEvents } from './events.ts';
import { RefreshLoop } from './loop.ts';
import { setPaused } from './pause.ts';
import type {
  Freshness,
  Reconciliation,
  Refresher,
  RefresherOptions,
  RefreshOptions,
  WaitOptions,
} from './refresher.ts';
import { markGroups, reconcileRollup, relationFor } from './rollup-calls.ts';
import { databaseTime, type RunLimits } from './run.ts';
import { schedulesOf, type ViewSchedule } from './schedule.ts';
import { Scheduler } from './scheduler.ts';
import { readStatus, type ViewStatus } from './status.ts';
import { ifMarked, ViewRuns, type Wish, whyPaused } from './view-runs.ts';

/** Greatest count that is compared: what `Infinity` means in the database. */
const mostFailures = 2_147_483_647;

/** {@link Refresher} over any executor. */
export class ViewRefresher implements Refresher {
  readonly #sql: SqlExecutor;
  readonly #listener: SqlListener | undefined;
  readonly #names: readonly string[];
  readonly #views: ReadonlyMap<string, ViewDefinition>;
  readonly #pace: Pace;
  readonly #leading: Pace;
  readonly #limits: RunLimits;
  readonly #clock: Clock;
  readonly #listeners = new Listeners<RefresherEvents>();
  readonly #runs: ViewRuns;
  readonly #schedules: ReadonlyMap<string, ViewSchedule>;
  #starting: Promise<readonly string[]> | undefined;
  #stopped = false;
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
      lockMs: positive(options.timeout?.lock ?? defaultLockTimeout, 'timeout.lock'),
      runMs: positive(options.timeout?.run ?? '10m', 'timeout.run'),
    };
    const { pauseAfter = 20 } = options.retry ?? {};
    if (!(pauseAfter === Number.POSITIVE_INFINITY || (Number.isInteger(pauseAfter) && pauseAfter >= 1))) {
      throw new ConfigurationError('createRefresher: retry.pauseAfter is an integer >= 1, or Infinity');
    }
    this.#runs = new ViewRuns({
      sql: this.#sql,
      clock: this.#clock,
      views: this.#views,
      limits: this.#limits,
      pauseAfter: Math.min(pauseAfter, mostFailures),
      listeners: this.#listeners,
    });
  }

  async start(): Promise<void> {
    if (this.#starting !== undefined || this.#loop !== undefined) {
      throw new ArgumentError('The refresher has been started already');
    }
    this.#stopped = false;
    this.#starting = this.#applied();
    try {
      const views = await this.#starting;
      if (!this.#stopped) this.#begin(views);
    } finally {
      this.#starting = undefined;
    }
  }

  #begin(views: readonly string[]): void {
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
      refresh: (view) => this.#complete(view, { forced: true, pausedToo: false }),
      failed: (error) => this.#listeners.emit('error', { error }),
    });
    this.#scheduler.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    // Whoever started it hears how that ended.
    if (this.#starting !== undefined) await this.#starting.catch(() => undefined);
    const loop = this.#loop;
    const scheduler = this.#scheduler;
    this.#loop = undefined;
    this.#scheduler = undefined;
    await Promise.all([loop?.stop(), scheduler?.stop()]);
  }

  async refresh(name: string, options: RefreshOptions = {}): Promise<Freshness> {
    assertKnownOptions('refresh', options, ['timeout', 'signal', 'where']);
    const { where, ...wait } = options;
    if (where !== undefined) await markGroups(this.#sql, this.#rollup(name), where);
    return this.#complete(name, { forced: where === undefined, pausedToo: true }, wait);
  }

  waitFresh(name: string, options?: WaitOptions): Promise<Freshness> {
    return this.#views.get(name)?.kind === 'view'
      ? this.#completeBelow(name, options)
      : this.#complete(name, ifMarked, options);
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
    if (found.healed > 0) await this.#complete(name, ifMarked, options);
    return found;
  }

  async relation(name: string, options: { readonly maxStaleness: Duration }): Promise<string> {
    assertKnownOptions('relation', options, ['maxStaleness']);
    const maxStalenessMs = durationMs(options.maxStaleness, 'maxStaleness');
    return relationFor(this.#sql, this.#rollup(name), maxStalenessMs);
  }

  async pause(name: string): Promise<void> {
    await setPaused(this.#sql, this.#known(name), true);
  }

  async resume(name: string): Promise<void> {
    await setPaused(this.#sql, this.#known(name), false);
    this.#runs.forget(name);
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
      const { version } = await readInstalled(this.#sql);
      if (version > 0 && version < packageVersion.version) {
        throw new ConfigurationError(
          'createRefresher: the views were applied by an older version of @cachekit/pg-matviews; apply them first',
        );
      }
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
      const outcome = await this.#runs.request(view, ifMarked, 0);
      return outcome.state === 'busy' ? 'elsewhere' : 'done';
    } catch {
      const failures = this.#runs.unrecorded(view);
      return { retryInMs: failures === undefined ? 0 : retryMs(failures) };
    }
  }

  #known(name: string): string {
    if (!this.#names.includes(name))
      throw new ArgumentError(`The refresher has no materialized view "${name}"`);
    return name;
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
      if (this.#names.includes(below)) await this.#complete(below, ifMarked, options);
    }
    return { view: name, freshAsOf: Number(since) / 1000 };
  }

  async #complete(name: string, wish: Wish, options: WaitOptions = {}): Promise<Freshness> {
    assertKnownOptions('refresh', options, ['timeout', 'signal']);
    const timeoutMs = durationMs(options.timeout ?? '30s', 'timeout');
    this.#known(name);
    const { signal } = options;
    signal?.throwIfAborted();
    const until = this.#clock.now() + timeoutMs;
    let timer: Timer | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = this.#clock.setTimeout(() => resolve('late'), timeoutMs);
    });
    // One of this call: the caller's may live as long as the process and be given to every call.
    const gone = new AbortController();
    const left = new Promise<never>((_resolve, reject) => {
      gone.signal.addEventListener('abort', () => reject(gone.signal.reason));
    });
    const leave = (): void => gone.abort(signal?.reason);
    signal?.addEventListener('abort', leave, { once: true });
    try {
      const done = this.#runs.request(name, wish, until, signal && gone.signal);
      const outcome = await Promise.race([done, late, left]);
      if (outcome === 'late' || outcome.state === 'busy') {
        throw new RefreshFailedError(name, `it was not done within ${timeoutMs} ms`);
      }
      if (outcome.state === 'paused') throw new RefreshFailedError(name, whyPaused(outcome));
      const freshAsOf = outcome.state === 'clean' ? (outcome.freshAsOf ?? 0) : outcome.event.freshAsOf;
      return { view: name, freshAsOf };
    } finally {
      this.#clock.clearTimeout(timer);
      signal?.removeEventListener('abort', leave);
    }
  }
}

function positive(duration: Duration, name: string): number {
  const ms = durationMs(duration, name);
  if (ms > 0) return ms;
  throw new ConfigurationError(`createRefresher: ${name} is more than 0`);
}
