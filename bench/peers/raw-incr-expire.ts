import type { Redis } from 'ioredis';

/** The counter that is written by hand everywhere: two commands, and a key for ever if it dies between them. */
export function rawIncrExpire(
  client: Redis,
  limit: number,
  windowMs: number,
): (key: string) => Promise<boolean> {
  return async (key) => {
    const count = await client.incr(key);
    if (count === 1) await client.pexpire(key, windowMs);
    return count <= limit;
  };
}
