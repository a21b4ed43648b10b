import { expect } from 'vitest';

/** What `ask` says in the end; the deadline is for a machine that is busy with other things. */
export function eventually<T>(ask: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(ask, { timeout: 20_000, interval: 20 });
}
