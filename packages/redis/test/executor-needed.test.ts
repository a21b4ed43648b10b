import { describe, expect, it } from 'vitest';
import {
  createCounters,
  createLists,
  createLocks,
  createPairing,
  createPresence,
  createSessions,
  redisTier,
} from '../src/index.ts';

const factories: Readonly<Record<string, (redis: never) => unknown>> = {
  redisTier: (redis) => redisTier({ redis }),
  createLocks: (redis) => createLocks({ redis }),
  createSessions: (redis) => createSessions({ redis, idleTtl: '1m', maxLifetime: '1h' }),
  createPairing: (redis) => createPairing({ redis }),
  createPresence: (redis) => createPresence({ redis, ttl: '1m' }),
  createCounters: (redis) => createCounters({ redis, window: '1h' }),
  createLists: (redis) => createLists({ redis, ttl: '1h' }),
};

describe.each(Object.entries(factories))('%s', (_name, make) => {
  // A client has a method `script`, too.
  it.each([undefined, null, {}, 'redis://localhost', { script: () => 1 }])(
    'refuses %j in place of an executor',
    (redis) => {
      expect(() => make(redis as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
    },
  );
});
