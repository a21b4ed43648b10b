import { type Clock, ConfigurationError, type SqlExecutor, type SqlListener } from '@cachekit/core';
import { wakeChannel } from '@cachekit/core/postgres';
import { wakeSubject } from '../sql/mark-trigger.ts';
import { sqlState } from '../sql/sql-state.ts';
import { Alarm } from './alarm.ts';
import { Armed } from './armed.ts';
import { type LastRun, msOfRest, msUntilDue, owedAfter, type Pace, retryMs } from './due.ts';
import { hears } from './hearing.ts';
import { glanceAtMarks } from './marks.ts';

/** Longest sleep: bounds how late a mark is seen that no NOTIFY told of. */
const pollMs = 250;
/** Pause before a view is looked at again that another process is refreshing. */
const elsewhereMs = 100;

/** Tables get and lose parts seldom, and no trigger tells. */
const partsMs = 60_000;
const cannotNotice: readonly string[] = ['42501', '42883'];

/** What the loop needs of the refresher. */
export interface LoopHost {
  readonly sql: SqlExecutor;
  readonly clock: Clock;
  readonly listener: SqlListener | undefined;
  /** Each after those it is computed from. */
  readonly views: readonly string[];
  /** Name under which writers are asked to wake it. */
  readonly consumer: string;
  paceOf(view: string): Pace;
  /** Refreshes what is marked; never rejects. */
  refresh(view: string): Promise<'done' | 'elsewhere' | { readonly retryInMs: number }>;
  failed(error: unknown): void;
}

interface Memory {
  tookMs: number;
  owedMs: number;
  endedAt: number;
  /** Not before this time of the process' clock. */
  notBefore: number;
}

/**
 * Watches the marks and refreshes one view at a time.
 *
 * | state    | until                                                                     |
 * | -------- | ------------------------------------------------------------------------- |
 * | idle     | a NOTIFY, or the poll, shows a mark                                       |
 * | debounce | no mark came for `debounceMs`, at most `maxWaitMs` after the first; of a   |
 * |          | rollup: `debounceMs` have passed since the last run                       |
 * | run      | the transaction of the refresh ends                                       |
 * | cooldown | as long as the run took, of a rollup until the rest it owes is short       |
 * |          | enough; unless `maxWaitMs` asks for more                                  |
 * | back-off | half a second to a minute after a failure in any process; the marks stay   |
 * | paused   | `resume`, or a call of `refresh` that succeeds                             |
 */
export class RefreshLoop {
  readonly #host: LoopHost;
  readonly #alarm: Alarm;
  readonly #armed: Armed;
  readonly #memory = new Map<string, Memory>();
  #stopping = false;
  #listening = false;
  #partsAt = Number.NEGATIVE_INFINITY;
  #hears = false;
  #running: Promise<void> | undefined;
  #offState: (() => void) | undefined;
  #unlisten: (() => Promise<void>) | undefined;

  constructor(host: LoopHost) {
    this.#host = host;
    this.#alarm = new Alarm(host.clock);
    this.#armed = new Armed(host.sql, host.consumer);
  }

  start(): void {
    this.#listen();
    this.#running = this.#run();
  }

  /** Resolves when no refresh is under way any more. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#alarm.end();
    await this.#running;
    this.#offState?.();
    await this.#unlisten?.().catch(() => undefined);
    if (this.#listening) await this.#armed.disarm().catch(() => undefined);
  }

  #listen(): void {
    const { listener } = this.#host;
    if (listener === undefined) return;
    this.#offState = listener.onState((state) => {
      this.#listening = state === 'ready' && this.#hears;
      // What was said while nobody listened is in the table.
      if (state === 'ready') this.#alarm.ring();
    });
    this.#hear(listener).catch((error) => {
      // Who stops it may close the listener and the database before it is known.
      if (!this.#stopping) this.#host.failed(error);
    });
  }

  /** Until it is known that the listener hears, and for ever if it does not, the loop looks by itself. */
  async #hear(listener: SqlListener): Promise<void> {
    const { sql, clock, failed } = this.#host;
    const unlisten = await listener.listen(wakeChannel(wakeSubject), () => this.#alarm.ring());
    if (this.#stopping) return unlisten();
    this.#unlisten = unlisten;
    this.#hears = await hears(sql, listener, clock, () => this.#stopping);
    this.#listening = this.#hears;
    this.#alarm.ring();
    if (this.#hears || this.#stopping) return;
    failed(
      new ConfigurationError(
        'createRefresher: the listener hears nothing of what this database says; give it a direct connection to the same database, not one through a pooler in transaction mode. Until then the refresher looks every 250 ms',
      ),
    );
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping) {
      try {
        const sleepMs = await this.#step();
        failures = 0;
        if (sleepMs > 0) await this.#alarm.sleep(sleepMs);
      } catch (error) {
        failures += 1;
        this.#host.failed(error);
        await this.#alarm.sleep(retryMs(failures), false);
      }
    }
  }

  /** One look and at most one refresh. @returns How long to sleep before the next. */
  async #step(): Promise<number> {
    const { sql, clock, views, consumer } = this.#host;
    const rest = this.#msOfRest();
    if (rest > 0) return Math.ceil(rest);
    await this.#noticeParts();
    const glance = await glanceAtMarks(sql, views, consumer);
    if (glance.dirty.size === 0) return this.#listening ? this.#armed.idle(glance, pollMs) : pollMs;
    await this.#armed.busy(glance);
    let soonest = pollMs;
    for (const view of views) {
      const marks = glance.dirty.get(view);
      if (marks === undefined) continue;
      const now = clock.now();
      const wait = Math.max(
        msUntilDue(marks, this.#host.paceOf(view), this.#lastRun(view, now)),
        marks.backOffMs ?? 0,
        (this.#memory.get(view)?.notBefore ?? 0) - now,
      );
      if (wait <= 0) {
        await this.#refresh(view);
        return 0;
      }
      soonest = Math.min(soonest, wait);
    }
    return Math.max(1, Math.ceil(soonest));
  }

  async #noticeParts(): Promise<void> {
    const { sql, clock, views, failed } = this.#host;
    const now = clock.now();
    if (now - this.#partsAt < partsMs) return;
    await sql.query('SELECT cachekit.notice_parts($1::text[])', [views]).catch((error) => {
      // Who may not look, or finds no function of this version to do so, still refreshes what is marked.
      if (!cannotNotice.includes(sqlState(error) ?? '')) throw error;
      failed(error);
    });
    this.#partsAt = now;
  }

  /** While every view rests, marks are nothing to look at, and nobody needs to tell of them. */
  #msOfRest(): number {
    const now = this.#host.clock.now();
    let least = Number.POSITIVE_INFINITY;
    for (const view of this.#host.views) {
      least = Math.min(least, msOfRest(this.#host.paceOf(view), this.#lastRun(view, now)));
    }
    return least;
  }

  #lastRun(view: string, now: number): LastRun | undefined {
    const memory = this.#memory.get(view);
    return memory && { tookMs: memory.tookMs, owedMs: memory.owedMs, endedMsAgo: now - memory.endedAt };
  }

  async #refresh(view: string): Promise<void> {
    const { clock } = this.#host;
    const startedAt = clock.now();
    const outcome = await this.#host.refresh(view);
    const endedAt = clock.now();
    const pause = outcome === 'done' ? 0 : outcome === 'elsewhere' ? elsewhereMs : outcome.retryInMs;
    const tookMs = outcome === 'done' ? endedAt - startedAt : 0;
    this.#memory.set(view, {
      tookMs,
      owedMs: owedAfter(this.#lastRun(view, startedAt), tookMs, this.#host.paceOf(view)),
      endedAt,
      notBefore: endedAt + pause,
    });
  }
}
