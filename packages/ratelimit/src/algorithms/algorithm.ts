import type { RedisArgument } from '@cachekit/core';
import type { Calendar } from './calendar.ts';

/** How much in how much time. */
export interface Rule {
  /** Tokens per window; an integer from 1. */
  readonly limit: number;
  /** Length of the window in whole milliseconds; of a calendar period its usual length. */
  readonly windowMs: number;
  /** When windows are those of a calendar, where they begin and end. */
  readonly calendar?: Calendar;
}

/** A key that somebody blocked. */
export interface Block {
  /** Milliseconds, on the clock that `now` is read from. */
  readonly until: number;
  readonly reason: string;
}

/**
 * What is kept of one key: an instant at which the key may be forgotten, and an integer or the instants of tokens.
 *
 * In Redis the instant is the expiry of the key, so a state that says nothing any more costs nothing, and none can
 * outlive its window.
 */
export interface LimitState {
  /** Milliseconds, on the clock that `now` is read from. */
  readonly expiresAt: number;
  readonly value: number;
  /** When each token was taken, oldest first; only where every token counts by itself. */
  readonly log?: readonly number[] | undefined;
  readonly block?: Block | undefined;
}

/** What one policy says to one request. */
export interface Step extends LimitState {
  /** Whether the cost fits. The state is the one that follows: with the cost taken if it fits, else as it was. */
  readonly fits: boolean;
  /** Tokens left in that state. */
  readonly remaining: number;
  /** Time until the same cost fits if nobody takes anything meanwhile; 0 if it fits, `Infinity` if it never can. */
  readonly retryAfterMs: number;
  /** Time until the whole limit is there again. */
  readonly resetMs: number;
  /** Why the key is blocked, if it is. */
  readonly blocked?: string | undefined;
  /** What gives exactly these tokens back; told of logs, and of what is `returnable`. */
  readonly at?: number | undefined;
}

/**
 * The steps with what gives exactly their tokens back later: when they were taken, for logs, and for all else the instant at which
 * the window is over or the bucket full again.
 *
 * @param base - The instant that their times count from.
 */
export function returnableSteps(steps: readonly Step[], base: number): Step[] {
  return steps.map((step) => (step.fits ? { ...step, at: step.at ?? base + step.expiresAt } : step));
}

/**
 * The bodies of three Lua functions, and what they share. In them `call`, `pcall`, `format` and `ceil` are
 * `redis.call`, `redis.pcall`, `string.format` and `math.ceil`, found without a look into tables.
 */
export interface AlgorithmLua {
  /** Names of functions of `shared-lua.ts` that the bodies call. */
  readonly uses: readonly ('counted' | 'stored' | 'logged' | 'packed')[];
  /**
   * Parameters: `key, cost, force, now`, then the numbers of `pushArgs`. Returns what was found, in `width` values, then, if the
   * cost fits, the time to live (0: as it is) and the value to store. Returns nothing if `now` is outside of what
   * the numbers speak of.
   */
  readonly take: string;
  /** Parameters: `key, cost, at, now`, then the numbers of `pushArgs`. Writes by itself. */
  readonly give: string;
  /** Parameters: `key, duration, reason, now`, then the numbers of `pushArgs`. Writes by itself. */
  readonly block: string;
}

/**
 * A rule of counting, written twice: as functions and as Lua that runs in Redis.
 *
 * Both compute with integers below 2^53 only, so both give the same answer to the same question.
 */
export interface Algorithm {
  readonly name: 'gcra' | 'fixedWindow' | 'slidingWindow' | 'quota' | 'concurrency';
  /** Part of every key; changes when the meaning of the state does. */
  readonly version: string;
  /** Pure. A cost of 0 looks without taking; `force` takes what does not fit, too. */
  next(state: LimitState | undefined, rule: Rule, cost: number, now: number, force?: boolean): Step;
  /**
   * Pure: the state with tokens given back, never more than were taken; `at` names which: those that came back by
   * themselves since, with time or with another window, are not given back once more.
   */
  give(
    state: LimitState | undefined,
    rule: Rule,
    cost: number,
    now: number,
    at?: number,
  ): LimitState | undefined;
  /** Pure: the state of a key that is blocked from now on for `durationMs`. */
  block(
    state: LimitState | undefined,
    rule: Rule,
    durationMs: number,
    reason: string,
    now: number,
  ): LimitState;
  /** How long a denial of `cost` that left `denied` surely lasts from `now` on; 0 if it may be over. */
  deniedFor(denied: Denial, rule: Rule, cost: number, now: number): number;
  /** Names of the numbers that Lua is given for a rule, in the order of `pushArgs`. */
  readonly parameters: readonly string[];
  /** Appends the numbers that Lua is given for a rule. */
  pushArgs(args: RedisArgument[], rule: Rule, now: number): void;
  /** How many values Lua replies. */
  readonly width: 1 | 2 | 3;
  /** The step that Lua made, from what it found. */
  read(reply: readonly unknown[], at: number, rule: Rule, cost: number, force: boolean): Step;
  readonly lua: AlgorithmLua;
}

/** What is remembered of a denial. */
export interface Denial {
  /** The cost that was denied. */
  readonly cost: number;
  /** When that cost fits again, at the earliest. */
  readonly until: number;
  readonly expiresAt: number;
  readonly value: number;
}
