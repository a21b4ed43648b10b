import type { Clock } from '@cachekit/core';
import type { Step } from '../algorithms/algorithm.ts';
import type { Policy } from '../algorithms/policy.ts';

/**
 * What is done with the cost.
 *
 * | mode    |                                                                            |
 * | ------- | -------------------------------------------------------------------------- |
 * | `take`  | taken from every key, or from none                                         |
 * | `peek`  | nothing is taken; the steps say whether it would have been                 |
 * | `force` | taken from every key, whether it fits or not                               |
 * | `give`  | given back to every key, at most what was taken; there are no steps        |
 */
export type LimitMode = 'take' | 'peek' | 'force' | 'give';

/** One request to a store: the same cost for every key. */
export interface LimitRequest {
  readonly mode: LimitMode;
  readonly policies: readonly Policy[];
  /** One per policy. */
  readonly keys: readonly string[];
  /** An integer from 1. */
  readonly cost: number;
  /** Milliseconds since the epoch by the limiter's clock; a store that has a clock of its own uses that. */
  readonly now: number;
  /** With `give`: which tokens, for policies whose steps had an `at`. */
  readonly at?: readonly (number | undefined)[] | undefined;
  /** With `take`: every step that took something says by which `at` exactly that is given back. */
  readonly returnable?: boolean;
}

/** A step, or that a policy was not asked because another had said no before its turn came. */
export type PolicyAnswer = Omit<Step, 'remaining' | 'resetMs'> & {
  readonly remaining: number | undefined;
  readonly resetMs: number | undefined;
};

/** What a store says. */
export interface StoreAnswer {
  /** One per policy, in order; none if tokens were given back. */
  readonly steps: readonly PolicyAnswer[];
  /** Whether all keys were asked at the same instant. */
  readonly atomic: boolean;
}

/** Keys that nobody may pass for a while. */
export interface BlockRequest {
  readonly policies: readonly Policy[];
  readonly keys: readonly string[];
  readonly durationMs: number;
  /** Percent-encoded. */
  readonly reason: string;
  readonly now: number;
}

/** What a limiter gives its store. */
export interface StoreContext {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Called when the store stops being asked because it fails, and when it is asked again. */
  onAvailable(available: boolean): void;
}

/**
 * A store as one limiter uses it.
 *
 * An implementer promises: a request for keys of one slot is atomic; with `take` it takes from every key or from none;
 * nothing it writes outlives what it says; a call settles within `timeoutMs`; what was rejected because the time was
 * over is not counted later.
 */
export interface LimitSession {
  /** Does what the mode says. */
  check(request: LimitRequest): StoreAnswer | Promise<StoreAnswer>;
  /** Blocks every key; a longer block that is there already stays. */
  block(request: BlockRequest): void | Promise<void>;
  /** Forgets every key. */
  reset(keys: readonly string[]): void | Promise<void>;
}

/** Where limits are counted. */
export interface LimitStore {
  readonly name: 'redis' | 'memory';
  /** First part of every key. */
  readonly namespace: string;
  /** Begins to count for a limiter. Connects to nothing. */
  open(context: StoreContext): LimitSession;
}
