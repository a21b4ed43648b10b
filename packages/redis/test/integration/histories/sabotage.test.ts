import { startRedis } from '@cachekit/services';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { liveHistory } from './history.ts';
import { type Sabotage, sabotages } from './sabotage.ts';

const deaf: Sabotage = 'hear nothing of what others change and do not notice';
/** Who hears nothing is found out only after the longest time in which others may be late, so that takes the long run. */
const long = process.env.CACHEKIT_LONG === '1';
const tried = sabotages.filter((sabotage) => long || sabotage !== deaf);

describe('the check of random histories finds what it is there to find', () => {
  let server: Awaited<ReturnType<typeof startRedis>>;

  beforeAll(async () => {
    server = await startRedis({ own: true });
  });
  afterAll(() => server.stop());

  it.each(tried)(
    'processes that %s',
    async (sabotage) => {
      const runMs = sabotage === deaf ? 3_000 : 60_000;
      const reach = { kind: 'standalone', servers: [{ host: '127.0.0.1', port: server.port }] } as const;
      const told = await liveHistory({ reach, coherence: 'pubsub', seed: 1, runMs, sabotage });
      expect(told.wrong.length).toBeGreaterThan(0);
    },
    180_000,
  );
});
