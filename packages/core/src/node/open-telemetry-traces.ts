import type { Cache } from '../cache/cache.ts';
import type { Loader, ManyLoader } from '../cache/loader.ts';
import type { CacheKey } from '../keys/cache-key.ts';

/** The part of a span of OpenTelemetry that is used. */
export interface SpanLike {
  // biome-ignore lint/suspicious/noExplicitAny: a loader may throw anything
  recordException(error: any): void;
  setStatus(status: { code: number }): unknown;
  end(): void;
}

/** The part of a `Tracer` of `@opentelemetry/api` that is used. */
export interface TracerLike {
  startActiveSpan<T>(
    name: string,
    options: { attributes?: Record<string, string | number> },
    run: (span: SpanLike) => T,
  ): T;
}

/** `SpanStatusCode.ERROR` of `@opentelemetry/api`. */
const failed = 2;

/**
 * The cache with a span of OpenTelemetry for each load, named `load` and the resource, with the attributes `namespace` and
 * `resource`, and `ids` where many are loaded at once.
 *
 * It is a child of the span in which the caller asked and the parent of what the loader does, such as its queries; a caller
 * who joins the load of another has none. Calls of Redis get theirs from the instrumentation of the client; one call may
 * serve several callers, and is a child of the first.
 *
 * Reads through the cache that was given are not traced and pay nothing. Through this one a hit pays for a function.
 *
 * @param tracer - Such as `trace.getTracer('cachekit')` of `@opentelemetry/api`.
 * @returns A cache over the same memory: to be used, listened to and closed in place of the one given.
 */
export function openTelemetryTraces(tracer: TracerLike, cache: Cache): Cache {
  const { namespace } = cache;
  const spanned = async <T>(resource: string, more: { ids?: number }, load: () => T): Promise<Awaited<T>> =>
    await tracer.startActiveSpan(
      `load ${resource}`,
      { attributes: { namespace, resource, ...more } },
      async (span) => {
        try {
          return await load();
        } catch (error) {
          span.recordException(error);
          span.setStatus({ code: failed });
          throw error;
        } finally {
          span.end();
        }
      },
    );
  // What is no loader is left for the cache to refuse.
  const one = <T>(key: CacheKey, load: Loader<T>): Loader<T> =>
    typeof load === 'function'
      ? (context) => spanned(key.resource.name, {}, () => load(context)) as Promise<T>
      : load;
  const many = <Id, T>(key: (id: Id) => CacheKey, load: ManyLoader<Id, T>): ManyLoader<Id, T> =>
    typeof load === 'function'
      ? (ids, context) =>
          spanned(key(ids[0] as Id).resource.name, { ids: ids.length }, () => load(ids, context))
      : load;

  const traced: Pick<
    Cache,
    'getOrLoad' | 'read' | 'readRaw' | 'refresh' | 'getManyOrLoad' | 'getOrLoadVia' | 'warm' | 'wrap'
  > = {
    getOrLoad: (key, loader, options) => cache.getOrLoad(key, one(key, loader), options),
    read: (key, loader, options) => cache.read(key, one(key, loader), options),
    readRaw: (key, loader, options) => cache.readRaw(key, one(key, loader), options),
    refresh: (key, loader, options) => cache.refresh(key, one(key, loader), options),
    getManyOrLoad: (ids, key, loader, options) => cache.getManyOrLoad(ids, key, many(key, loader), options),
    getOrLoadVia: (index, how, options) => {
      const { find, key, load } = how;
      const entry: typeof load = (id, context) => one(key(id), () => load(id, context))(context);
      return cache.getOrLoadVia(index, { ...how, find: one(index, find), load: entry }, options);
    },
    warm: (options) => cache.warm({ ...options, load: many(options.key, options.load) }),
    wrap:
      (key, load, options) =>
      (...args) =>
        traced.getOrLoad(key(...args), () => load(...args), options),
  };
  return new Proxy(cache, {
    get: (target, name) => {
      if (Object.hasOwn(traced, name)) return traced[name as keyof typeof traced];
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
