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
import { Coalesced, type OpenDemand } from './coalesce.ts';
import { type Pace, retryMs } from './due.ts';
import type { RefresherEvents } from './events.ts';
import { Holders } from './holders.ts';
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
import {
  databaseTime,
  type RunLimits,
  type RunOutcome,
  type RunRequest,
  recordFailure,
  runRefresh,
} from './run.ts';
import { schedulesOf, type ViewSchedule } from './schedule.ts';
import { Scheduler } from './scheduler.ts';
import { readStatus, type ViewStatus } from './status.ts';

/** Pause before a view is tried again that another process refreshes. */
const busyPauseMs = 25;
/** How long a view waits for a process that refreshes one it is computed from. */
const ancestorWaitMs = 30_000;
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
  readonly #runs = new Map<string, Coalesced<Demand, RunOutcome>>();
  /** Failures in a row that only this process knows of, as they could not be written down. */
  readonly #failures = new Map<string, number>();
  readonly #pauseAfter: number;
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
    const { pauseAfter = 20 } = options.retry ?? {};
    if (!(pauseAfter === Number.POSITIVE_INFINITY || (Number.isInteger(pauseAfter) && pauseAfter >= 1))) {
      throw new ConfigurationError('createRefresher: retry.pauseAfter is an integer >= 1, or Infinity');
    }
    this.#pauseAfter = Math.min(pauseAfter, mostFailures);
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
      refresh: (view) => this.#complete(view, { forced: true, pausedToo: false }),
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
    this.#failures.delete(name);
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
      const outcome = await this.#runsOf(view).request({
        ...ifMarked,
        until: 0,
        holders: new Holders(undefined),
      });
      return outcome.state === 'busy' ? 'elsewhere' : 'done';
    } catch {
      // Written down, it holds for all processes, and ends with a refresh that somebody else does.
      const failures = this.#failures.get(view);
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
    const holders = new Holders(signal && gone.signal);
    try {
      const outcome = await Promise.race([
        this.#runsOf(name).request({ ...wish, until, holders }),
        late,
        left,
      ]);
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
    // When all have gone, whoever comes next has a refresh of their own.
    const first = open.sofar.holders.signal;
    first?.addEventListener('abort', () => open.take(), { once: true });
    first?.throwIfAborted();
    // The loop leaves those to their own debounce; a rollup of measures reads its table and nothing else.
    const ofOneTable = this.#views.get(view)?.rollup?.shown !== undefined;
    const ancestors = open.sofar.until > 0 && !ofOneTable ? await dirtyAncestors(this.#sql, view) : [];
    for (const ancestor of ancestors) {
      const until = this.#clock.now() + ancestorWaitMs;
      const outcome = await this.#runsOf(ancestor).request({
        ...ifMarked,
        until,
        holders: new Holders(first),
      });
      if (outcome.state === 'paused') {
        throw new RefreshFailedError(view, `"${ancestor}" is marked, and ${whyPaused(outcome)}`);
      }
    }
    const { forced, pausedToo, until, holders } = open.take();
    const { signal } = holders;
    const request = { view, tenant: this.#views.get(view)?.tenant, pausedToo, ...(signal && { signal }) };
    let outcome = await this.#attempt({ ...request, when: forced ? 'always' : 'marked' });
    if (outcome.state !== 'busy') return outcome;
    // A refresh of another process serves these requests if it begins from now on.
    const since = forced && until > this.#clock.now() ? await databaseTime(this.#sql) : undefined;
    while (outcome.state === 'busy' && this.#clock.now() < until) {
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, busyPauseMs));
      outcome = await this.#attempt({ ...request, when: since ?? 'marked' });
    }
    return outcome;
  }

  async #attempt(request: RunRequest): Promise<RunOutcome> {
    const { view, signal } = request;
    try {
      const outcome = await runRefresh(this.#sql, request, this.#limits, this.#clock);
      this.#failures.delete(view);
      if (outcome.state === 'refreshed') this.#listeners.emit('refreshed', outcome.event);
      return outcome;
    } catch (error) {
      if (signal?.aborted !== true) await this.#failed(view, error);
      throw error;
    }
  }

  async #failed(view: string, error: unknown): Promise<void> {
    const record = await recordFailure(this.#sql, view, error, this.#pauseAfter).catch(() => undefined);
    if (record === undefined) this.#failures.set(view, (this.#failures.get(view) ?? 0) + 1);
    else this.#failures.delete(view);
    const failures = record?.failures ?? this.#failures.get(view) ?? 1;
    this.#listeners.emit('failed', { view, error, failures, retryInMs: retryMs(failures) });
    if (record?.paused === true) this.#listeners.emit('paused', { view, error, failures });
  }
}

/** What somebody wants of a refresh. */
interface Wish {
  /** Also if nothing is marked. */
  readonly forced: boolean;
  /** Also if the view is paused. */
  readonly pausedToo: boolean;
}

const ifMarked: Wish = { forced: false, pausedToo: false };

/** What the requests that one refresh serves ask for. */
interface Demand extends Wish {
  /** Until then it is worth waiting for another process. */
  readonly until: number;
  readonly holders: Holders;
}

function both(a: Demand, b: Demand): Demand {
  return {
    forced: a.forced || b.forced,
    pausedToo: a.pausedToo || b.pausedToo,
    until: Math.max(a.until, b.until),
    holders: a.holders.join(b.holders),
  };
}

function whyPaused({ failures, lastError }: Extract<RunOutcome, { state: 'paused' }>): string {
  const because = failures === 0 ? '' : ` after ${failures} failures, the last one: ${lastError}`;
  return `it is paused${because}`;
}

function positive(duration: Duration, name: string): number {
  const ms = durationMs(duration, name);
  if (ms > 0) return ms;
  throw new ConfigurationError(`createRefresher: ${name} is more than 0`);
}
