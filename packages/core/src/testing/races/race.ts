import type { Ground } from './ground.ts';

/**
 * What a race needs of its store.
 *
 * - `memory`: nothing else
 * - `processes`: that several processes share it
 * - `foreign`: also that memory hears of writes that no CacheKit made
 */
type RaceNeed = 'memory' | 'processes' | 'foreign';

/** One race: a number that is the same on every store, a promise, and the way to break it. */
export interface Race {
  /** Such as `R7`. */
  readonly id: string;
  /** The promise. */
  readonly title: string;
  readonly needs: RaceNeed;
  /** Run once however many repetitions there are, because it repeats by itself. */
  readonly once?: boolean;
  /** It breaks connections itself. Of any other, a run in which one broke shows nothing. */
  readonly breaks?: true;
  run(ground: Ground): Promise<void>;
}
