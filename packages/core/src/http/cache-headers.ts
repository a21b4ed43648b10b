import type { CacheRead } from '../cache/cache.ts';
import type { TierClock } from '../ports/remote-tier.ts';

/** Header in which a client says the clock of the invalidation it heard of, and by which responses vary. */
export const clockHeader = 'X-CacheKit-Clock';

/**
 * The minimum clock of a request. Whatever is no clock counts as none.
 *
 * @param headers - Of the request; see {@link clockHeader}.
 */
export function minClockOf(headers: Headers): TierClock | undefined {
  const text = headers.get(clockHeader);
  if (text === null || !/^\d{1,16}$/.test(text)) return undefined;
  const clock = Number(text);
  return Number.isSafeInteger(clock) ? clock : undefined;
}

/** By which a request says whose it is, unless the application has a header of its own for that. */
const whose = 'Cookie, Authorization';

/** By how much times may differ that two clocks tell; it costs nobody a second. */
const roundedMs = 5;

/**
 * Says in the headers of a response what the cache said.
 *
 * | header          | value                                                                      |
 * | --------------- | -------------------------------------------------------------------------- |
 * | `X-Cache`       | `HIT`, `MISS` or `STALE`                                                   |
 * | `Cache-Control` | `private, max-age={ttl}, stale-while-revalidate={ttl/2}`, unless there is one |
 * | `Age`           | seconds since the load began, so that a browser does not add `ttl` to `ttl` |
 * | `Vary`          | `X-CacheKit-Clock` beside what it says already; with this `Cache-Control` also `Cookie, Authorization` |
 *
 * `{ttl}` is how long the value is fresh, whoever said so: its loader, `set()` or the policy. What an invalidation overtook
 * while it was loaded has 0. Seconds are whole. `Vary` keeps a browser from giving one user what it has kept of another; where
 * another header says whose a request is, append that one too. A response that is neither a success nor a 304 gets
 * `X-Cache` and `Vary` alone.
 *
 * @see RFC 9111, RFC 5861
 */
export function setCacheHeaders(response: Response, read: Omit<CacheRead<unknown>, 'value'>): void {
  const { headers } = response;
  headers.set('X-Cache', read.state.toUpperCase());
  headers.append('Vary', clockHeader);
  if (!(response.ok || response.status === 304) || headers.has('Cache-Control')) return;
  headers.append('Vary', whose);
  const ttl = seconds(read.ttlMs);
  headers.set('Cache-Control', `private, max-age=${ttl}, stale-while-revalidate=${Math.floor(ttl / 2)}`);
  headers.set('Age', String(seconds(read.ageMs)));
}

function seconds(ms: number): number {
  return Math.floor((ms + roundedMs) / 1_000);
}
