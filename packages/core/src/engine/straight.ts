import { Cancellation } from '../async/cancellation.ts';
import { ArgumentError, LoadTimeoutError } from '../errors.ts';
import { countLoad } from '../metrics/metrics.ts';
import { lifeMs } from '../policy.ts';
import type { EngineParts, Outcome } from './parts.ts';
import type { ReadRequest } from './read-request.ts';
import { Loading } from './steps/loading.ts';

/** The way while the cache is switched off: the loader, for this caller alone, and nothing is kept. */
export async function straight(parts: EngineParts, request: ReadRequest): Promise<Outcome> {
  const { key, loader, policy, signal, state } = request;
  const { hardTimeoutMs } = policy;
  signal?.throwIfAborted();
  state.counters.misses++;
  state.counters.loads++;
  const clock = parts.remote === undefined ? parts.time.tick() : parts.time.estimate();
  const startedAt = parts.clock.now();
  const cancellation = new Cancellation();
  const context = new Loading(parts.namespace, key.wire, cancellation, undefined, policy);
  const leave = () => cancellation.abort(signal?.reason);
  const expiring = { expired: () => cancellation.abort(new LoadTimeoutError(key.wire, hardTimeoutMs)) };
  signal?.addEventListener('abort', leave, { once: true });
  parts.timeouts.begin(expiring, hardTimeoutMs);
  // A loader that goes on after it was given up is nobody's concern any more, its failure included.
  const loading = new Promise<unknown>((resolve, reject) => {
    cancellation.onAbort = reject;
    Promise.resolve(loader(context)).then(resolve, reject);
  });
  parts.background.run(loading);
  try {
    const value = await loading;
    if (value !== undefined) {
      const ttlMs = lifeMs(value === null ? 'negative' : 'value', context.policy);
      const now = parts.clock.now();
      const loadMs = now - startedAt;
      countLoad(state.counters, loadMs);
      return { value, state: 'miss', from: 'loader', clock, loadMs, freshUntil: now + ttlMs };
    }
    throw new ArgumentError(`The loader of "${key.wire}" gave undefined; null means "does not exist"`);
  } catch (error) {
    state.counters.loadErrors++;
    throw error;
  } finally {
    signal?.removeEventListener('abort', leave);
    parts.timeouts.end(expiring, hardTimeoutMs);
  }
}
