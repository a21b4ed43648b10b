import { type Cache, type CacheOptions, createCache } from '../src/index.ts';
import { FakeClock, type MemoryRemoteTier, memoryRemoteTier } from '../src/testing/index.ts';

/** A cache under test, with what a test may want to move. */
export interface Setup {
  readonly clock: FakeClock;
  readonly cache: Cache;
  readonly tier: MemoryRemoteTier | undefined;
}

/** The stores that every promise of a read holds on. */
export const setups: [string, (options?: CacheOptions) => Setup][] = [
  ['in memory alone', (options) => setup(options, () => undefined)],
  ['with a remote tier', (options) => setup(options, (clock) => memoryRemoteTier({ clock }))],
  [
    'with a remote tier whose bus is cut',
    (options) =>
      setup(options, (clock) => {
        const tier = memoryRemoteTier({ clock });
        tier.cutBus();
        return tier;
      }),
  ],
];

function setup(
  options: CacheOptions = {},
  tierOf: (clock: FakeClock) => MemoryRemoteTier | undefined,
): Setup {
  const clock = new FakeClock();
  const tier = tierOf(clock);
  const cache = createCache({ clock, ...(tier === undefined ? {} : { remote: tier }), ...options });
  return { clock, cache, tier };
}
