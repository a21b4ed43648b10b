import type { LockProvider } from '@cachekit/core';
import type { Redis } from 'ioredis-5';
import { Mutex } from 'redis-semaphore';
import Redlock from 'redlock';

/** Waits for a lock, however long, and gives the function that gives it back. */
export type SectionLock = (key: string) => Promise<() => Promise<unknown>>;

const ttlMs = 10_000;
const waitMs = 60_000;

/** The lock of CacheKit. */
export function cachekitLock(locks: LockProvider): SectionLock {
  return async (key) => {
    const lease = await locks.lock(key, { ttl: ttlMs, wait: waitMs });
    if (lease === undefined) throw new Error('The lock was not given in time');
    return () => lease.release();
  };
}

/** As it comes, with the interval at which it looks again. */
export function redisSemaphore(client: Redis): SectionLock {
  return async (key) => {
    const mutex = new Mutex(client as unknown as ConstructorParameters<typeof Mutex>[0], `semaphore:${key}`, {
      lockTimeout: ttlMs,
      acquireTimeout: waitMs,
    });
    await mutex.acquire();
    return () => mutex.release();
  };
}

/** @param retryDelay - How long it waits before it looks again; it comes with 200 ms. */
export function redlock(client: Redis, retryDelay: number): SectionLock {
  const locks = new Redlock([client], {
    retryCount: Math.ceil(waitMs / retryDelay),
    retryDelay,
    retryJitter: retryDelay / 2,
  });
  return async (key) => {
    const lock = await locks.acquire([`redlock:${key}`], ttlMs);
    return () => lock.release();
  };
}
