import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withLock } from '../lock/with-lock.ts';
import type { Lease, LockOptions, LockProvider } from '../ports/lock.ts';

/** A store of locks and what plays processes on it, for one test. */
export interface LockFixture {
  /** One more process: a provider of its own on the same store. */
  open(): LockProvider;
  /** Resolves once that many stand in the queue for the key. */
  queued(key: string, count: number): Promise<void>;
  /** Closes what the fixture opened. */
  close(): Promise<void>;
}

/** How much later than it should something may be on a machine that is busy with other things. */
const slackMs = 10_000;

/**
 * Checks every promise of the `LockProvider` port. Called at the top of a file of tests for vitest, which is a peer
 * dependency for this alone; time is real.
 *
 * @param name - Of the provider, for the name of the block.
 * @param fixture - Called before each test.
 */
export function lockSuite(name: string, fixture: () => Promise<LockFixture>): void {
  describe(`locks: ${name}`, () => {
    let store: LockFixture;
    let here: LockProvider;
    let there: LockProvider;

    beforeEach(async () => {
      store = await fixture();
      here = store.open();
      there = store.open();
    });
    afterEach(() => store.close());

    async function held(
      locks: LockProvider,
      key: string,
      options: Partial<LockOptions> = {},
    ): Promise<Lease> {
      const lease = await locks.lock(key, { ttl: '60s', ...options });
      if (lease === undefined) throw new Error(`${key} is not free`);
      return lease;
    }

    test('one holds a key at a time, and who does not wait is told so at once', async () => {
      const lease = await held(here, 'import');
      expect(await there.lock('import', { ttl: '60s' })).toBeUndefined();
      expect(await here.lock('import', { ttl: '60s' })).toBeUndefined();
      const other = await held(there, 'export');
      expect(await lease.release()).toBe('released');
      expect(await (await held(there, 'import')).release()).toBe('released');
      expect(await other.release()).toBe('released');
    });

    test('however many want it, nobody is inside with another, and each fencing token is greater than the last', async () => {
      let inside = 0;
      const tokens: number[] = [];
      const worker = async (locks: LockProvider): Promise<void> => {
        for (let round = 0; round < 5; round++) {
          const lease = await held(locks, 'counter', { wait: '60s' });
          expect(++inside).toBe(1);
          tokens.push(lease.fencingToken);
          await Promise.resolve();
          inside--;
          expect(await lease.release()).toBe('released');
        }
      };
      await Promise.all(Array.from({ length: 12 }, (_, index) => worker(index % 2 === 0 ? here : there)));
      expect(tokens).toHaveLength(60);
      expect(tokens.every((token, index) => index === 0 || token > (tokens[index - 1] as number))).toBe(true);
      expect(tokens.every(Number.isSafeInteger)).toBe(true);
    });

    test('it is handed over in the order in which it was asked for', async () => {
      const first = await held(here, 'printer');
      const order: number[] = [];
      const waiting: Promise<void>[] = [];
      for (let index = 0; index < 6; index++) {
        waiting.push(
          held(index % 2 === 0 ? there : here, 'printer', { wait: '60s' }).then(async (lease) => {
            order.push(index);
            await lease.release();
          }),
        );
        await store.queued('printer', index + 1);
      }
      await first.release();
      await Promise.all(waiting);
      expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    });

    test('nobody who does not wait overtakes the queue', async () => {
      const first = await held(here, 'printer');
      const second = held(there, 'printer', { wait: '60s' });
      await store.queued('printer', 1);
      const [, barged] = await Promise.all([first.release(), here.lock('printer', { ttl: '60s' })]);
      expect(barged).toBeUndefined();
      await (await second).release();
    });

    test('a wait that is over gives up its place', async () => {
      const first = await held(here, 'printer');
      const began = Date.now();
      expect(await there.lock('printer', { ttl: '60s', wait: 100 })).toBeUndefined();
      expect(Date.now() - began).toBeGreaterThanOrEqual(95);
      const third = held(there, 'printer', { wait: '60s' });
      await store.queued('printer', 1);
      await first.release();
      expect(await (await third).release()).toBe('released');
    });

    test('an aborted wait rejects with the reason and gives up its place', async () => {
      const first = await held(here, 'printer');
      const controller = new AbortController();
      const second = there.lock('printer', { ttl: '60s', wait: '60s', signal: controller.signal });
      const third = held(here, 'printer', { wait: '60s' });
      await store.queued('printer', 2);
      const reason = new Error('closed');
      controller.abort(reason);
      await expect(second).rejects.toBe(reason);
      await first.release();
      expect(await (await third).release()).toBe('released');
      await expect(here.lock('printer', { ttl: '60s', signal: controller.signal })).rejects.toBe(reason);
      expect(await (await held(here, 'printer')).release()).toBe('released');
    });

    test('the holder is told before its lock expires, and before the next one has it', async () => {
      const events: string[] = [];
      const lease = await held(here, 'import', { ttl: 1_000, renew: false });
      lease.signal.addEventListener('abort', () => events.push('told'));
      const next = await held(there, 'import', { wait: '60s' });
      events.push('next');
      expect(events).toEqual(['told', 'next']);
      expect(lease.signal.reason).toMatchObject({
        code: 'LOCK_LOST',
        key: 'import',
        fencingToken: lease.fencingToken,
      });
      expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
      expect(await lease.extend()).toBe(false);
      expect(await lease.release()).toBe('lost');
      expect(await there.lock('import', { ttl: '1s' })).toBeUndefined();
      expect(next.signal.aborted).toBe(false);
      expect(await next.release()).toBe('released');
    });

    test('a lock is renewed for as long as it is needed', async () => {
      const lease = await held(here, 'import', { ttl: 2_000 });
      expect(await there.lock('import', { ttl: 2_000, wait: 3_000 })).toBeUndefined();
      expect(lease.signal.aborted).toBe(false);
      expect(await lease.release()).toBe('released');
    });

    test('it can be prolonged by hand', async () => {
      const lease = await held(here, 'import', { ttl: 2_000, renew: false });
      const began = Date.now();
      while (Date.now() - began < 2_500) {
        expect(await lease.extend()).toBe(true);
        expect(await there.lock('import', { ttl: 1_000, wait: 50 })).toBeUndefined();
      }
      expect(await lease.release()).toBe('released');
      expect(await lease.extend()).toBe(false);
    });

    test('a second release says the same as the first and takes nothing from the next holder', async () => {
      const lease = await held(here, 'import');
      expect(await lease.release()).toBe('released');
      const next = await held(there, 'import');
      expect(await lease.release()).toBe('released');
      expect(await here.lock('import', { ttl: '1s' })).toBeUndefined();
      await next.release();
    });

    test('a semaphore lets in as many as it has permits, and never more', async () => {
      let inside = 0;
      let most = 0;
      const tokens = new Set<number>();
      const worker = async (locks: LockProvider): Promise<void> => {
        const lease = await held(locks, 'downloads', { permits: 3, wait: '60s' });
        tokens.add(lease.fencingToken);
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 20));
        inside--;
        await lease.release();
      };
      await Promise.all(Array.from({ length: 12 }, (_, index) => worker(index % 2 === 0 ? here : there)));
      expect(most).toBe(3);
      expect(tokens.size).toBe(12);
    });

    test('withLock() gives the lock back and passes on what the work returned or threw', async () => {
      const options: LockOptions = { ttl: '60s' };
      expect(await withLock(here, 'import', options, async () => 42)).toEqual({
        acquired: true,
        value: 42,
        outcome: 'released',
      });
      const error = new Error('of the work');
      await expect(withLock(there, 'import', options, () => Promise.reject(error))).rejects.toBe(error);
      const lease = await held(here, 'import');
      expect(await withLock(there, 'import', options, () => Promise.reject(error))).toEqual({
        acquired: false,
      });
      await lease.release();
    });

    test('a lock that was lost does not destroy what was done under it', async () => {
      const done = await withLock(here, 'import', { ttl: 100, renew: false }, async ({ signal }) => {
        await aborted(signal);
        const next = await held(there, 'import', { wait: '60s' });
        await next.release();
        return 'the result';
      });
      expect(done).toEqual({ acquired: true, value: 'the result', outcome: 'lost' });
    });

    test('keys are kept apart, whatever they hold', async () => {
      const keys = ['a', 'a:b', '{a}', 'a}', '*', 'a b', 'ü', '\n', 'a%3Ab'];
      const leases = await Promise.all(keys.map((key) => held(here, key)));
      for (const lease of leases) expect(await lease.release()).toBe('released');
    });

    test('what no lock can be asked with is refused', async () => {
      for (const key of ['', 'x'.repeat(257), undefined]) {
        await expect(here.lock(key as string, { ttl: '1s' })).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        });
      }
      const wrong = [
        undefined,
        {},
        { ttl: 0 },
        { ttl: 9 },
        { ttl: Number.NaN },
        { ttl: Number.POSITIVE_INFINITY },
        { ttl: '10x' },
        { ttl: '25d' },
        { ttl: 100, wait: -1 },
        { ttl: 100, wait: '30d' },
        { ttl: 100, permits: 0 },
        { ttl: 100, permits: 1.5 },
        { ttl: 100, permits: '3' },
        { ttl: 100, tll: 1 },
      ];
      for (const options of wrong) {
        await expect(here.lock('a', options as LockOptions)).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        });
      }
    });
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(() => reject(new Error('The signal was not aborted')), slackMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
