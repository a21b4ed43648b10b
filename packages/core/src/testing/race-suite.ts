import { describe, expect, test } from 'vitest';
import { coherence } from './races/coherence.ts';
import { ending } from './races/ending.ts';
import { Ground, patienceMs } from './races/ground.ts';
import { loads } from './races/loads.ts';
import { outages } from './races/outages.ts';
import { overtakenLoads } from './races/overtaken-loads.ts';
import type { Race } from './races/race.ts';
import type { RaceFixture } from './races/store.ts';
import { values } from './races/values.ts';

/** What {@link raceSuite} takes besides. */
export interface RaceSuiteOptions {
  /** How often each race is run. @defaultValue 100 with `CACHEKIT_LONG=1` in the environment, else 1 */
  readonly repetitions?: number;
  /** That memory is all there is, so that the races between processes do not apply. @defaultValue false */
  readonly alone?: boolean;
  /**
   * Why the race of a foreign write, R9, does not apply: memory hears only of what a CacheKit wrote. Such as `messages
   * are sent by our own scripts`.
   */
  readonly deafToForeign?: string;
  /** Loads that fail in R26. @defaultValue 2_000 */
  readonly failingLoads?: number;
}

/** Runs of a race that go on side by side, each on a store of its own: most of their time they wait. */
const atOnce = 5;

/** A machine that is very busy loses a connection now and then; a store that always does is at fault. */
const mostRepeated = 2;

/** All of them, in the order of their numbers. */
const races: readonly Race[] = [overtakenLoads, coherence, outages, loads, values, ending]
  .flat()
  .sort((one, other) => Number(one.id.slice(1)) - Number(other.id.slice(1)));

/**
 * Runs the races that caches lose: R1 to R27, each a named test. One that does not apply to a store says why in its name,
 * and checks that this is so. Called at the top of a file of tests for vitest; time is real.
 *
 * @param name - Of the store, for the name of the block.
 * @param fixture - Called before each run of a race.
 */
export function raceSuite(
  name: string,
  fixture: () => Promise<RaceFixture>,
  options: RaceSuiteOptions = {},
): void {
  const { repetitions = process.env.CACHEKIT_LONG === '1' ? 100 : 1, failingLoads = 2_000 } = options;
  const { deafToForeign, alone = false } = options;

  /** @param again - How often it is run again when a connection broke that nobody broke on purpose. */
  const once = async (run: (ground: Ground) => Promise<void>, again: number): Promise<void> => {
    const ground = new Ground(await fixture(), failingLoads);
    try {
      await run(ground);
      return;
    } catch (error) {
      if (ground.unreached.length === 0) throw error;
      if (again === 0) {
        const reasons = ground.unreached.join('; ');
        throw new Error(`Lost while calls did not reach the store: ${reasons}`, { cause: error });
      }
    } finally {
      await ground.close();
    }
    await once(run, again - 1);
  };

  describe(`races: ${name}`, () => {
    for (const race of races) {
      const { id, title, needs } = race;
      if (alone && needs !== 'memory') {
        test(`${id} ${title}: does not apply, memory is all there is`, () =>
          once(async (ground) => expect(ground.many).toBe(false), 0));
        continue;
      }
      if (deafToForeign !== undefined && needs === 'foreign') {
        test(`${id} ${title}: does not apply, ${deafToForeign}`, () =>
          once(async (ground) => {
            const { tier } = await ground.shared.open(patienceMs);
            expect(tier.coherence?.mode).not.toBe('tracking');
          }, 0));
        continue;
      }
      const times = race.once === true ? 1 : repetitions;
      test(
        `${id} ${title}`,
        async () => {
          for (let left = times; left > 0; left -= atOnce) {
            const runs = Array.from({ length: Math.min(left, atOnce) }, () =>
              once((ground) => race.run(ground), race.breaks ? 0 : mostRepeated),
            );
            await Promise.all(runs);
          }
        },
        60_000 + times * 10_000,
      );
    }
  });
}
