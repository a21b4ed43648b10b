import type { Cache } from '../cache.ts';
import { assertKnownOptions, ConfigurationError } from '../errors.ts';
import type { CacheKey } from '../key-space.ts';
import type { LoadContext } from '../loader.ts';
import { minClockOf, setCacheHeaders } from './cache-headers.ts';

/** What {@link withCache} takes. */
export interface WithCacheOptions<T> {
  /** The key of a request. Whoever makes it authenticates: the tenant in the key is the one that is answered. */
  readonly key: (request: Request) => CacheKey<T> | Promise<CacheKey<T>>;
  /** The loader. The request is that of the first caller; others may wait for the same load. */
  readonly load: (request: Request, context: LoadContext<T>) => T | Promise<T>;
  /** Makes the response of a value. @defaultValue its JSON */
  readonly respond?: (value: T, request: Request) => Response | Promise<Response>;
}

/**
 * Makes a fetch-style handler for `GET` and `HEAD` that answers from the cache and says so in its headers.
 *
 * A client that heard of an invalidation sends its clock as `X-CacheKit-Clock` and is answered with nothing older;
 * garbage and clocks from the future are ignored. A client that goes away leaves the load to the others. What `key`,
 * `load` and `respond` throw passes to the framework unchanged.
 *
 * @returns A handler for whatever calls `(request: Request) => Promise<Response>`: Hono, Next, Deno, Bun, workers.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown or missing options.
 * @see {@link setCacheHeaders} for the headers.
 * @example
 * const GET = withCache(cache, {
 *   key: async (request) => keys.devices({ tenant: await tenantOf(request) }),
 *   load: async (request, { signal }) => loadDevices(await tenantOf(request), signal),
 * });
 */
export function withCache<T>(
  cache: Pick<Cache, 'read'>,
  options: WithCacheOptions<T>,
): (request: Request) => Promise<Response> {
  assertKnownOptions('withCache', options, ['key', 'load', 'respond']);
  const { key: keyOf, load, respond = asJson } = options;
  for (const [name, given] of Object.entries({ key: keyOf, load, respond })) {
    if (typeof given !== 'function')
      throw new ConfigurationError(`withCache: ${name} is a function; got ${String(given)}`);
  }
  return async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return new Response(null, { status: 405, headers: { Allow: 'GET, HEAD' } });
    }
    const minClock = minClockOf(request.headers);
    const { value, ...read } = await cache.read(await keyOf(request), (context) => load(request, context), {
      signal: request.signal,
      ...(minClock === undefined ? {} : { minClock }),
    });
    const made = await respond(value, request);
    // A copy, because headers of a response may be read-only.
    const response = new Response(request.method === 'HEAD' ? null : made.body, made);
    setCacheHeaders(response, read);
    return response;
  };
}

function asJson(value: unknown): Response {
  return Response.json(value);
}
