import type { Clock, Duration, SqlExecutor, SqlListener } from '@cachekit/core';
import type { ViewDefinition } from '../view.ts';
import type { RefresherEvents } from './events.ts';
import type { ViewScheduleOptions } from './schedule.ts';
import type { ViewStatus } from './status.ts';

/** Options of `createRefresher`. */
export interface RefresherOptions {
  readonly sql: SqlExecutor;
  /**
   * Wakes the refresher at the first change. Without it, or if it hears nothing of this database (which `error` tells), the refresher
   * looks every 250 ms.
   */
  readonly listener?: SqlListener | undefined;
  /** The views it keeps fresh, as given to `createViews`; plain views among them are passed over. */
  readonly views: readonly ViewDefinition[];
  /** A refresh waits until nothing changed for this long. @defaultValue `250ms` */
  readonly debounce?: Duration;
  /** It never waits longer than this after the first change. @defaultValue `2s` */
  readonly maxWait?: Duration;
  /** Limits of one refresh. */
  readonly timeout?: {
    /** Waiting for a lock; longer than `deadlock_timeout`, or an autovacuum is never made to yield. @defaultValue `1500ms` */
    readonly lock?: Duration;
    /** The whole refresh; the server cancels it then. @defaultValue `10m` */
    readonly run?: Duration;
  };
  /**
   * Times at which views are refreshed as a whole whether they are marked or not, by their names: cron expressions of
   * five fields. One process of all does it; a time that passes while none runs is left out.
   */
  readonly schedule?: Readonly<Record<string, ViewScheduleOptions>>;
  /** What happens after a failure: the pause before the next attempt doubles from half a second to a minute. */
  readonly retry?: {
    /** After so many failures in a row the view is paused. `Infinity`: never. @defaultValue `20`, about 13 minutes */
    readonly pauseAfter?: number;
  };
  readonly clock?: Clock;
}

/** Which part of a view a caller wants refreshed. */
export interface RefreshOptions extends WaitOptions {
  /** Of a rollup: only groups with these values of key columns, as a row has them, such as `{ user_id: 7 }`; marked or not. */
  readonly where?: Readonly<Record<string, unknown>>;
}

/** How long a caller waits. */
export interface WaitOptions {
  /** A refresh that was begun goes on for the next one who asks. @defaultValue `30s` */
  readonly timeout?: Duration;
  /**
   * Ends the wait at once, with its reason. The refresh is cancelled in the server when nobody else waits for it, and leaves
   * everything as it was.
   */
  readonly signal?: AbortSignal;
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
   * other processes. A view that was paused after failures is itself again when this succeeds.
   *
   * @throws RefreshFailedError `REFRESH_FAILED` if it was never applied, or is not done within `timeout`; also if a
   * view it is computed from is paused and marked.
   * @throws MissingUniqueIndexError `MISSING_UNIQUE_INDEX` before anything runs.
   * @throws The reason of `signal`, or the error of the database, unchanged.
   */
  refresh(name: string, options?: RefreshOptions): Promise<Freshness>;
  /**
   * Resolves when the view holds everything committed before the call: at once if nothing is marked, else after a
   * refresh that does not wait for the debounce. Read your writes: commit, `waitFresh`, read. A plain view waits for the
   * views it is computed from.
   *
   * @throws RefreshFailedError `REFRESH_FAILED` at once if it is paused and marked; else as {@link refresh}.
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
  /**
   * From now on no process refreshes the view by itself, also not by its schedule; marks are kept, and `refresh` still does.
   *
   * @throws RefreshFailedError `REFRESH_FAILED` if it was never applied.
   */
  pause(name: string): Promise<void>;
  /**
   * Ends a pause, whatever caused it, and forgets the failures before it.
   *
   * @throws As {@link pause}.
   */
  resume(name: string): Promise<void>;
  /** How each view stands in the database, whoever refreshes it; those that were never applied are left out. */
  status(): Promise<readonly ViewStatus[]>;
  /** Calls `listener` with every event of that name; one that throws disturbs nobody else. */
  on<Name extends keyof RefresherEvents>(name: Name, listener: RefresherEvents[Name]): void;
  /** Ends what `on` began. */
  off<Name extends keyof RefresherEvents>(name: Name, listener: RefresherEvents[Name]): void;
}
