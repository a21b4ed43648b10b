import type { Clock, SqlExecutor, Timer } from '@cachekit/core';
import { nextDue } from './cron.ts';
import type { ViewSchedule } from './schedule.ts';

/** What the scheduler needs of the refresher. */
export interface SchedulerHost {
  readonly sql: SqlExecutor;
  readonly clock: Clock;
  readonly schedules: ReadonlyMap<string, ViewSchedule>;
  /** Refreshes it now; what goes wrong is told by the refresher. */
  refresh(view: string): Promise<unknown>;
  failed(error: unknown): void;
}

/** Longest sleep: timers of JavaScript end at 24 days, and a clock that is set is noticed. */
const longestMs = 60_000;

/**
 * Refreshes views at the times of their schedules, once per time, whatever the number of processes. A time that passed
 * while no process ran is left out.
 */
export class Scheduler {
  readonly #host: SchedulerHost;
  readonly #timers = new Map<string, Timer>();
  readonly #running = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(host: SchedulerHost) {
    this.#host = host;
  }

  start(): void {
    const { clock, schedules } = this.#host;
    for (const [view, schedule] of schedules)
      this.#arm(view, nextDue(schedule.cron, schedule.timeZone, clock.now()));
  }

  /** Resolves when no refresh of a schedule is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers.values()) this.#host.clock.clearTimeout(timer);
    await Promise.allSettled(this.#running);
  }

  #arm(view: string, due: number | undefined): void {
    if (due === undefined || this.#stopped) return;
    const { clock, schedules } = this.#host;
    const wait = Math.min(longestMs, Math.max(0, due - clock.now()));
    const timer = clock.setTimeout(() => {
      if (clock.now() < due) return this.#arm(view, due);
      const run = this.#run(view, due);
      this.#running.add(run);
      run.finally(() => this.#running.delete(run)).catch(() => undefined);
      const schedule = schedules.get(view) as ViewSchedule;
      this.#arm(view, nextDue(schedule.cron, schedule.timeZone, clock.now()));
    }, wait);
    this.#timers.set(view, timer);
  }

  /** The process that writes the time down first refreshes. */
  async #run(view: string, due: number): Promise<void> {
    try {
      const { rowCount } = await this.#host.sql.query(
        `UPDATE cachekit.view SET scheduled_for = to_timestamp($2::float8 / 1000)
         WHERE name = $1 AND (scheduled_for IS NULL OR scheduled_for < to_timestamp($2::float8 / 1000))`,
        [view, due],
      );
      if (rowCount > 0 && !this.#stopped) await this.#host.refresh(view).catch(() => undefined);
    } catch (error) {
      this.#host.failed(error);
    }
  }
}
