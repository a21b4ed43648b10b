import type { Step } from '../algorithms/algorithm.ts';
import type { Policy } from '../policy.ts';

/** One request to a store: the same cost from every key, all or nothing. */
export interface LimitRequest {
  readonly policies: readonly Policy[];
  /** One per policy. */
  readonly keys: readonly string[];
  /** An integer from 1. */
  readonly cost: number;
  /** Milliseconds since the epoch by the limiter's clock; a store that has a clock of its own does not look at it. */
  readonly now: number;
}

/**
 * Where limits are counted.
 *
 * An implementer promises: a check is atomic; it takes from every key or from none; nothing it writes outlives the
 * window of its policy.
 */
export interface LimitStore {
  readonly name: 'redis' | 'memory';
  /** First part of every key. */
  readonly namespace: string;
  /** Whether keys of one check must be in one slot, which only keys of one tenant are sure to be. */
  readonly oneSlot: boolean;
  /** One step per policy, in order: all of them fit and were taken, or at least one does not and nothing was. */
  check(request: LimitRequest): readonly Step[] | Promise<readonly Step[]>;
}
