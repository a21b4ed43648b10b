import { MemoryRemote, memoryRemoteTier, type RaceProcess, raceSuite } from '../src/testing/index.ts';

raceSuite('memory alone', async () => ({ namespace: 'ck', close: async () => {} }), {
  alone: true,
  repetitions: process.env.CACHEKIT_LONG === '1' ? 100 : 5,
  failingLoads: 20_000,
});

raceSuite(
  'memoryRemoteTier()',
  async () => {
    const remote = new MemoryRemote();
    const open = async (): Promise<RaceProcess> => {
      const tier = memoryRemoteTier({ remote });
      return {
        tier,
        link: {
          refuse: () => {
            tier.fail();
            tier.cutBus();
          },
          hang: () => tier.fail(new Error('timed out')),
          mend: () => {
            tier.recover();
            tier.mendBus();
          },
          hold: () => tier.hold('getMany'),
          cutBus: () => {
            tier.cutBus();
            setTimeout(() => tier.mendBus(), 5);
          },
          connections: () => 0,
        },
      };
    };
    return {
      namespace: 'ck',
      shared: {
        open,
        write: async (key, text) => remote.put(key, text),
        remove: async (key) => {
          remote.remove(key);
          remote.publish([key]);
        },
        spoil: async (key) => remote.put(key, '\u0000'),
      },
      close: async () => {},
    };
  },
  {
    repetitions: process.env.CACHEKIT_LONG === '1' ? 100 : 3,
    failingLoads: 20_000,
  },
);
