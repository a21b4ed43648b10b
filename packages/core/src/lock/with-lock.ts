import type { Lease, LockedResult, LockOptions, LockProvider } from '../ports/lock.ts';

/**
 * Does `work` under a lock, and gives the lock back however it ends.
 *
 * What `work` returns or throws is never replaced by trouble with the lock: a lock that was lost meanwhile is told in
 * `outcome`. Look at `lease.signal` in long work, and send `lease.fencingToken` along with what it writes.
 *
 * @returns `acquired: false`, without having called `work`, when somebody else held the lock and `wait` is over.
 * @throws Whatever `work` throws, unchanged, or what the store said when it was asked for the lock.
 * @example
 * const billed = await withLock(createMemoryLocks(), 'billing:2026-11', { ttl: '10s' }, async ({ signal }) => {
 *   const devices = await loadDevices('acme', signal);
 *   return devices.length;
 * });
 * if (!billed.acquired) console.log('somebody else is at it');
 */
export async function withLock<T>(
  locks: LockProvider,
  key: string,
  options: LockOptions,
  work: (lease: Lease) => Promise<T>,
): Promise<LockedResult<T>> {
  const lease = await locks.lock(key, options);
  if (lease === undefined) return { acquired: false };
  let value: T;
  try {
    value = await work(lease);
  } catch (error) {
    await lease.release();
    throw error;
  }
  return { acquired: true, value, outcome: await lease.release() };
}
