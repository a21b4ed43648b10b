import type { Cache, CacheRead } from '../cache/cache.ts';
import type { LoadContext } from '../cache/loader.ts';
import type { ReadOptions } from '../cache/read-options.ts';
import { assertKnownOptions, ConfigurationError } from '../errors.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import { minClockOf, setCacheHeaders } from './cache-headers.ts';
import { etagOf, isHeld } from './etag.ts';

/** What {@link withCache} takes. `Context` is what the framework calls its handlers with after the request. */
export interface WithCacheOptions<T, Context = void> {
  /** The key of a request. Whoever makes it authenticates: the tenant in the key is the one that is answered. */
  readonly key: (request: Request, context: Context) => CacheKey<T> | Promise<CacheKey<T>>;
  /** The loader. The request is that of the first caller; others may wait for the same load. */
  readonly load: (request: Request, loading: LoadContext<T>, context: Context) => T | Promise<T>;
  /**
   * Makes the response of a value; it brings its own `ETag`, or has none.
   *
   * @defaultValue its JSON, from the text that is cached where there is one
   */
  readonly respond?: (value: T, request: Request, context: Context) => Response | Promise<Response>;
}

/**
 * Makes a fetch-style handler for `GET` and `HEAD` that answers from the cache and says so in its headers.
 *
 * A client that holds the value already (`If-None-Match`) is answered with 304 and no body. One that heard of an
 * invalidation sends its clock as `X-CacheKit-Clock` and is answered with nothing older; garbage and clocks from the
 * future are ignored. A client that goes away leaves the load to the others. What `key`, `load` and `respond` throw passes
 * to the framework unchanged.
 *
 * @returns A handler for whatever calls `(request: Request) => Promise<Response>`: Hono, Next, Deno, Bun, workers;
 * `expressHandler()` makes one for Express of it.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown or missing options.
 * @see {@link setCacheHeaders} for the headers.
 * @example
 * const GET = withCache(cache, {
 *   key: async (request) => keys.devices({ tenant: await tenantOf(request) }),
 *   load: async (request, { signal }) => loadDevices(await tenantOf(request), signal),
 * });
 */
export function withCache<T>(
  cache: Pick<Cache, 'read' | 'readRaw'>,
  options: WithCacheOptions<T>,
): (request: Request) => Promise<Response>;
export function withCache<T, Context>(
  cache: Pick<Cache, 'read' | 'readRaw'>,
  options: WithCacheOptions<T, Context>,
): (request: Request, context: Context) => Promise<Response>;
export function withCache<T, Context>(
  cache: Pick<Cache, 'read' | 'readRaw'>,
  options: WithCacheOptions<T, Context>,
): (request: Request, context: Context) => Promise<Response> {
  assertKnownOptions('withCache', options, ['key', 'load', 'respond']);
  const { key: keyOf, load, respond } = options;
  for (const [name, given] of Object.entries({ key: keyOf, load, respond })) {
    if (typeof given === 'function' || (name === 'respond' && given === undefined)) continue;
    throw new ConfigurationError(`withCache: ${name} is a function; got ${String(given)}`);
  }
  return async (request, context) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return new Response(null, { status: 405, headers: { Allow: 'GET, HEAD' } });
    }
    const minClock = minClockOf(request.headers);
    const reading: ReadOptions = { signal: request.signal, ...(minClock === undefined ? {} : { minClock }) };
    const key = await keyOf(request, context);
    const loader = (loading: LoadContext<T>) => load(request, loading, context);
    if (respond === undefined) {
      const { text, ...read } = await cache.readRaw(key, loader, reading);
      const headers = { 'Content-Type': 'application/json', ETag: etagOf(text) };
      return answered(request, new Response(text, { headers }), read);
    }
    const { value, ...read } = await cache.read(key, loader, reading);
    return answered(request, await respond(value, request, context), read);
  };
}

function answered(request: Request, made: Response, read: Omit<CacheRead<unknown>, 'value'>): Response {
  const etag = made.headers.get('ETag');
  const held = made.status === 200 && etag !== null && isHeld(request.headers, etag);
  const unsent = held || request.method === 'HEAD';
  // It may read from a file or from another server; what comes of ending it concerns nobody here.
  if (unsent) made.body?.cancel().catch(() => {});
  // A copy, because headers of a response may be read-only.
  const response = held
    ? new Response(null, { status: 304, headers: made.headers })
    : new Response(unsent ? null : made.body, made);
  if (held) for (const name of ofTheBody) response.headers.delete(name);
  setCacheHeaders(response, read);
  return response;
}

/** What says something of a body that is not sent. */
const ofTheBody = ['Content-Type', 'Content-Length', 'Content-Encoding'];
