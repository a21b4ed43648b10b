import { startRedis } from '@cachekit/services';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { liveHistory } from './history.ts';

const long = process.env.CACHEKIT_LONG === '1';
const runMs = long ? 60_000 : 6_000;
const seeds = long ? [1, 2, 3, 4, 5] : [1];

let server: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

describe.each(['tracking', 'pubsub'] as const)('random histories of four processes, by %s', (coherence) => {
  it.each(seeds)(
    'never an older value by the deleting process and by reads that reach Redis, elsewhere in time (seed %i)',
    async (seed) => {
      const told = await liveHistory({ port: server.port, coherence, seed, runMs });
      expect(told.wrong).toEqual([]);
      expect(told.reads).toBeGreaterThan(200);
      expect(told.written).toBeGreaterThan(20);
    },
    runMs + 120_000,
  );
});
