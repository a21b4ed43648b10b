import { channel } from 'node:diagnostics_channel';
import type { Cache } from '../cache/cache.ts';
import type { CacheEventName, CacheEvents } from '../cache/cache-events.ts';

/** Every event of a cache: one that is missing here does not compile. */
const names: Readonly<Record<CacheEventName, true>> = {
  load: true,
  loadError: true,
  commitRefused: true,
  unstorable: true,
  damaged: true,
  tierError: true,
  breaker: true,
  coherence: true,
  coherenceFallback: true,
  repair: true,
  invalidate: true,
};

/** What is published on the channel of an event: the event, and whose it is. */
export type DiagnosticsMessage<Name extends CacheEventName = CacheEventName> = {
  readonly namespace: string;
} & CacheEvents[Name];

/**
 * Publishes the events of a cache on the channels `cachekit:<event>` of `node:diagnostics_channel`, such as
 * `cachekit:load` and `cachekit:tierError`, for monitors that know nothing of the cache object.
 *
 * A hit is no event, so a hit pays nothing. A load pays for one object, whether somebody listens on the channel or not.
 *
 * @returns The function that ends it.
 * @example
 * const stop = publishDiagnostics(cache);
 */
export function publishDiagnostics(cache: Pick<Cache, 'namespace' | 'on' | 'off'>): () => void {
  const ends = (Object.keys(names) as CacheEventName[]).map((name) => {
    const target = channel(`cachekit:${name}`);
    const listener = (event: CacheEvents[CacheEventName]) => {
      if (target.hasSubscribers) target.publish({ namespace: cache.namespace, ...event });
    };
    cache.on(name, listener);
    return () => cache.off(name, listener);
  });
  return () => {
    for (const end of ends) end();
  };
}
