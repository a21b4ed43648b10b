import { ArgumentError, assertKnownOptions } from '../errors.ts';
import type { CacheKey } from '../key-space.ts';
import type { Loader } from '../loader.ts';
import { type ResolvedPolicy, resolvePolicy } from '../policy.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import { type ReadOptions, readOptions } from '../read-options.ts';
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
}

/** @throws ArgumentError `INVALID_ARGUMENT` for what no read can work with. */
export function readRequest(
  parts: EngineParts,
  key: CacheKey,
  loader: Loader<unknown>,
  options: ReadOptions | undefined,
): ReadRequest {
  assertKey(parts, key);
  if (typeof loader !== 'function') throw new ArgumentError(`The loader of "${key.wire}" is no function`);
  const state = parts.resourceState(key.resource);
  if (options === undefined)
    return { key, loader, state, policy: state.policy, minClock: 0, signal: undefined };
  const { minClock, signal, ...own } = options;
  if (minClock !== undefined && !(Number.isFinite(minClock) && minClock >= 0)) {
    throw new ArgumentError(`minClock is a clock in microseconds; got ${String(minClock)}`);
  }
  const policy = asArgument(() => {
    assertKnownOptions('getOrLoad', options, readOptions);
    return resolvePolicy(own, state.policy, 'getOrLoad');
  });
  return { key, loader, state, policy, minClock: heeded(parts, minClock), signal };
}

/** @throws ArgumentError `INVALID_ARGUMENT` for a key of another namespace, or none. */
export function assertKey(parts: EngineParts, key: CacheKey): void {
  if (key?.resource?.namespace === parts.namespace) return;
  throw new ArgumentError(
    `Not a key of a key space with the namespace of this cache, "${parts.namespace}": ${key?.wire ?? String(key)}`,
  );
}

/** What a factory calls a wrong option is a wrong argument in a call. */
export function asArgument<T>(resolve: () => T): T {
  try {
    return resolve();
  } catch (error) {
    throw new ArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function heeded(parts: EngineParts, minClock: TierClock | undefined): TierClock {
  if (minClock === undefined) return 0;
  // Before the tier's clock was ever seen nothing can be called future.
  const judged = parts.remote === undefined || parts.time.known;
  return judged && minClock > parts.time.estimate() + futureMicroseconds ? 0 : minClock;
}
