import { describe, expect, it } from 'vitest';
import { createMemoryLocks } from '../src/index.ts';
import { FakeClock, lockSuite } from '../src/testing/index.ts';

lockSuite('createMemoryLocks()', async () => {
  const locks = createMemoryLocks();
  return {
    open: () => locks,
    // A place in the queue is taken within the call itself.
    async queued() {},
    async close() {},
  };
});

describe('createMemoryLocks()', () => {
  it('gives greater fencing tokens also when the clock is set back', async () => {
    let now = 2_000;
    const clock = Object.assign(new FakeClock(), { now: () => now });
    const locks = createMemoryLocks({ clock });
    const first = await locks.lock('a', { ttl: '1s' });
    await first?.release();
    now = 1_000;
    const second = await locks.lock('a', { ttl: '1s' });
    expect(second?.fencingToken).toBeGreaterThan(first?.fencingToken as number);
    await second?.release();
  });

  it('tells the holder a tenth of its ttl before the lock is given to the next one', async () => {
    const clock = new FakeClock();
    const locks = createMemoryLocks({ clock });
    const lease = await locks.lock('a', { ttl: 1_000, renew: false });
    const next = locks.lock('a', { ttl: 1_000, wait: '1m', renew: false });
    await clock.advance(899);
    expect(lease?.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(lease?.signal.aborted).toBe(true);
    await clock.advance(100);
    expect((await next)?.signal.aborted).toBe(false);
  });

  it('leaves no timer behind', async () => {
    const clock = new FakeClock();
    const locks = createMemoryLocks({ clock });
    const lease = await locks.lock('a', { ttl: '10s', wait: '1s' });
    expect(await locks.lock('a', { ttl: '10s' })).toBeUndefined();
    const next = locks.lock('a', { ttl: '10s', wait: '1s' });
    await lease?.release();
    await (await next)?.release();
    expect(clock.timers).toBe(0);
  });

  it('refuses options that nobody reads', () => {
    expect(() => createMemoryLocks({ clocks: 1 } as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});
