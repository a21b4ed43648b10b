import { type Duration, durationMs } from '../duration.ts';
import { ArgumentError } from '../errors.ts';
import type { LockOptions } from '../ports/lock.ts';

/** {@link LockOptions} with its defaults filled in, checked. */
export interface LockRequest {
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly permits: number;
  readonly renew: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Longest key of a lock, in characters. */
export const maxLockKeyLength = 256;

/** The longest timer of JavaScript. */
const mostMs = 2 ** 31 - 1;
const mostPermits = 100_000;
const known: readonly string[] = [
  'ttl',
  'wait',
  'permits',
  'signal',
  'renew',
] satisfies (keyof LockOptions)[];

/**
 * Checks what a lock is asked with; every `LockProvider` begins with it.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for a key that is empty or longer than 256 characters, a `ttl` of less than
 * 10 ms or more than 24 days, a wait that is no duration, permits that are no whole number from 1, or an unknown option.
 */
export function lockRequest(key: string, options: LockOptions): LockRequest {
  if (typeof key !== 'string' || key === '' || key.length > maxLockKeyLength) {
    throw new ArgumentError(
      `The key of a lock is a string of 1 to ${maxLockKeyLength} characters; got ${typeof key === 'string' ? JSON.stringify(key) : String(key)}`,
    );
  }
  if (typeof options !== 'object' || options === null) throw new ArgumentError('A lock needs its ttl');
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw new ArgumentError(`lock: unknown option "${name}"; it takes ${known.join(', ')}`);
  }
  const { wait = 0, permits = 1, renew = true, signal } = options;
  const ttlMs = Math.ceil(milliseconds(options.ttl, 'ttl'));
  if (ttlMs < 10 || ttlMs > mostMs) throw new ArgumentError('ttl: give 10 ms to 24 days');
  const waitMs = milliseconds(wait, 'wait');
  if (waitMs > mostMs) throw new ArgumentError('wait: give at most 24 days');
  if (!Number.isInteger(permits) || permits < 1 || permits > mostPermits) {
    throw new ArgumentError(`permits: give a whole number from 1 to ${mostPermits}; got ${String(permits)}`);
  }
  if (signal && typeof signal.throwIfAborted !== 'function') {
    throw new ArgumentError('signal: give an AbortSignal');
  }
  return { ttlMs, waitMs, permits, renew, signal };
}

function milliseconds(duration: Duration, name: string): number {
  try {
    return durationMs(duration, name);
  } catch (error) {
    throw new ArgumentError(error instanceof Error ? error.message : name);
  }
}
