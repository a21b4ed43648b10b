import type { Clock, SqlExecutor } from '@cachekit/core';
import { RefreshFailedError } from '../errors.ts';
import type { Listeners } from '../listeners.ts';
import type { ViewDefinition } from '../view.ts';
import { dirtyAncestors } from './ancestry.ts';
import { Coalesced, type OpenDemand } from './coalesce.ts';
import { retryMs } from './due.ts';
import type { RefresherEvents } from './events.ts';
import { Holders } from './holders.ts';
import {
  databaseTime,
  type RunLimits,
  type RunOutcome,
  type RunRequest,
  recordFailure,
  runRefresh,
} from './run.ts';

/** Pause before a view is tried again that another process refreshes. */
const busyPauseMs = 25;
/** How long a view waits for a process that refreshes one it is computed from. */
const ancestorWaitMs = 30_000;

/** What somebody wants of a refresh. */
export interface Wish {
  /** Also if nothing is marked. */
  readonly forced: boolean;
  /** Also if the view is paused. */
  readonly pausedToo: boolean;
}

/** What the loop wants, and who waits for what is marked. */
export const ifMarked: Wish = { forced: false, pausedToo: false };

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

/** What the runs of a refresher need. */
export interface ViewRunsParts {
  readonly sql: SqlExecutor;
  readonly clock: Clock;
  readonly views: ReadonlyMap<string, ViewDefinition>;
  readonly limits: RunLimits;
  /** After so many failures in a row a view is paused. */
  readonly pauseAfter: number;
  readonly listeners: Listeners<RefresherEvents>;
}

/** The refreshes of a process: of a view one at a time, shared by all who want one when it begins. */
export class ViewRuns {
  readonly #parts: ViewRunsParts;
  readonly #runs = new Map<string, Coalesced<Demand, RunOutcome>>();
  /** Failures in a row that only this process knows of, as they could not be written down. */
  readonly #failures = new Map<string, number>();

  constructor(parts: ViewRunsParts) {
    this.#parts = parts;
  }

  /**
   * One refresh that begins from now on.
   *
   * @param until - Until then it is worth waiting for another process.
   * @param signal - Aborts when this caller has gone.
   */
  request(view: string, wish: Wish, until: number, signal?: AbortSignal): Promise<RunOutcome> {
    return this.#runsOf(view).request({ ...wish, until, holders: new Holders(signal) });
  }

  /**
   * Failures in a row that could not be written down. Those that were hold for all processes, and end with a refresh that
   * somebody else does.
   */
  unrecorded(view: string): number | undefined {
    return this.#failures.get(view);
  }

  /** Begins to count failures anew. */
  forget(view: string): void {
    this.#failures.delete(view);
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
    const { sql, clock, views } = this.#parts;
    // When all have gone, whoever comes next has a refresh of their own.
    const first = open.sofar.holders.signal;
    first?.addEventListener('abort', () => open.take(), { once: true });
    first?.throwIfAborted();
    // The loop leaves those to their own debounce; a rollup of measures reads its table and nothing else.
    const ofOneTable = views.get(view)?.rollup?.shown !== undefined;
    const ancestors = open.sofar.until > 0 && !ofOneTable ? await dirtyAncestors(sql, view) : [];
    for (const ancestor of ancestors) {
      const until = clock.now() + ancestorWaitMs;
      const outcome = await this.request(ancestor, ifMarked, until, first);
      if (outcome.state === 'paused') {
        throw new RefreshFailedError(view, `"${ancestor}" is marked, and ${whyPaused(outcome)}`);
      }
    }
    const { forced, pausedToo, until, holders } = open.take();
    const { signal } = holders;
    const request = { view, tenant: views.get(view)?.tenant, pausedToo, ...(signal && { signal }) };
    let outcome = await this.#attempt({ ...request, when: forced ? 'always' : 'marked' });
    if (outcome.state !== 'busy') return outcome;
    // A refresh of another process serves these requests if it begins from now on.
    const since = forced && until > clock.now() ? await databaseTime(sql) : undefined;
    while (outcome.state === 'busy' && clock.now() < until) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, busyPauseMs));
      outcome = await this.#attempt({ ...request, when: since ?? 'marked' });
    }
    return outcome;
  }

  async #attempt(request: RunRequest): Promise<RunOutcome> {
    const { sql, limits, clock, listeners } = this.#parts;
    const { view, signal } = request;
    try {
      const outcome = await runRefresh(sql, request, limits, clock);
      this.#failures.delete(view);
      if (outcome.state === 'refreshed') listeners.emit('refreshed', outcome.event);
      return outcome;
    } catch (error) {
      if (signal?.aborted !== true) await this.#failed(view, error);
      throw error;
    }
  }

  async #failed(view: string, error: unknown): Promise<void> {
    const { sql, pauseAfter, listeners } = this.#parts;
    const record = await recordFailure(sql, view, error, pauseAfter).catch(() => undefined);
    if (record === undefined) this.#failures.set(view, (this.#failures.get(view) ?? 0) + 1);
    else this.#failures.delete(view);
    const failures = record?.failures ?? this.#failures.get(view) ?? 1;
    listeners.emit('failed', { view, error, failures, retryInMs: retryMs(failures) });
    if (record?.paused === true) listeners.emit('paused', { view, error, failures });
  }
}

/** Why a paused view is not refreshed. */
export function whyPaused({ failures, lastError }: Extract<RunOutcome, { state: 'paused' }>): string {
  const because = failures === 0 ? '' : ` after ${failures} failures, the last one: ${lastError}`;
  return `it is paused${because}`;
}
