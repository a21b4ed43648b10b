import type { Loader } from '../cache/loader.ts';
import { type ReadOptions, readOptions } from '../cache/read-options.ts';
import { ArgumentError, asArgument, assertKnownOptions } from '../errors.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import { type ResolvedPolicy, resolvePolicy } from '../policy.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import type { EngineParts, ResourceState } from './parts.ts';

/** How far in the future a minimum clock may be: clocks told from here are off by half a round trip. */
const futureMicroseconds = 2_000_000;

/** One call of a read, checked. */
export interface ReadRequest {
  readonly key: CacheKey;
  readonly loader: Loader<unknown>;
  readonly state: ResourceState;
  readonly policy: ResolvedPolicy;
  /** 0 for none. */
  readonly minClock: TierClock;
  readonly signal: AbortSignal | undefined;
  /** Loads even what is fresh, and takes nothing old in place of a load that fails. */
  readonly renews?: true;
  /** The version that a renewal replaces; without it whatever it finds first. */
  readonly replaces?: string;
  /** Called each time somebody else turns out to load the key, so that the caller's own loader may never be called. */
  readonly elsewhere?: () => void;
}

/** @throws ArgumentError `INVALID_ARGUMENT` for what no read can work with. */
export function readRequest(
  parts: EngineParts,
  key: CacheKey,
  loader: Loader<unknown>,
  options: ReadOptions | undefined,
  verb = 'getOrLoad',
): ReadRequest {
  assertKey(parts, key);
  if (typeof loader !== 'function') throw new ArgumentError(`The loader of "${key.wire}" is no function`);
  const state = parts.resourceState(key.resource);
  if (options === undefined)
    return { key, loader, state, policy: state.policy, minClock: 0, signal: undefined };
  asArgument(() => assertKnownOptions(verb, options, readOptions));
  const { minClock, signal, ...own } = options;
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    throw new ArgumentError(`${verb}: signal is an AbortSignal; got ${String(signal)}`);
  }
  const policy = asArgument(() => resolvePolicy(own, state.policy, verb));
  return { key, loader, state, policy, minClock: heededClock(parts, minClock), signal };
}

/** @throws ArgumentError `INVALID_ARGUMENT` for a key of another namespace, or none. */
export function assertKey(parts: EngineParts, key: CacheKey): void {
  if (key?.resource?.namespace === parts.namespace) return;
  throw new ArgumentError(
    `Not a key of a key space with the namespace of this cache, "${parts.namespace}": ${key?.wire ?? String(key)}`,
  );
}

/**
 * The minimum clock that a call presents; 0 for none and for one from the future.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for what is no clock.
 */
export function heededClock(parts: EngineParts, minClock: TierClock | undefined): TierClock {
  if (minClock === undefined) return 0;
  if (!(Number.isFinite(minClock) && minClock >= 0)) {
    throw new ArgumentError(`minClock is a clock in microseconds; got ${String(minClock)}`);
  }
  // Before the tier's clock was ever seen nothing can be called future.
  const judged = parts.remote === undefined || parts.time.known;
  return judged && minClock > parts.time.estimate() + futureMicroseconds ? 0 : minClock;
}
