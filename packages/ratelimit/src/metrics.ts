import { openMetricsFamily } from '@cachekit/core';

/** What was counted for one policy since the limiter was made. */
export interface PolicyMetrics {
  /** Requests that passed. */
  readonly allowed: number;
  /** Requests this policy said no to. */
  readonly denied: number;
  /** Requests this policy would have said no to, if it were not for show. */
  readonly shadowed: number;
  /** Requests that were decided without the store, because it was unavailable. */
  readonly fallback: number;
  /** Of those, the ones to which the store did not answer in time. */
  readonly timeouts: number;
  /** Requests that were denied without asking the store, because the answer was known. */
  readonly denyCacheHits: number;
}

/** What {@link RateLimiter.metrics} gives. */
export interface RateLimitMetrics<Name extends string = string> {
  readonly policies: Readonly<Record<Name, PolicyMetrics>>;
  /** Whether the store is being asked; `false` while it does not answer. */
  readonly available: boolean;
}

const families: readonly (readonly [keyof PolicyMetrics, string, string])[] = [
  ['allowed', 'allowed', 'Requests that passed.'],
  ['denied', 'denied', 'Requests that a policy said no to.'],
  ['shadowed', 'shadowed', 'Requests that a shadow policy would have said no to.'],
  ['fallback', 'fallback', 'Requests decided without the store, because it was unavailable.'],
  ['timeouts', 'timeouts', 'Requests to which the store did not answer in time.'],
  ['denyCacheHits', 'deny_cache_hits', 'Requests denied without asking the store.'],
];

/**
 * The counters as OpenMetrics text, for a scrape endpoint; its type is `application/openmetrics-text`.
 *
 * @see OpenMetrics 1.0 (draft-richih-opsawg-openmetrics)
 * @example
 * const text = rateLimitOpenMetrics(limiter.metrics());
 * new Response(text, { headers: { 'Content-Type': 'application/openmetrics-text; version=1.0.0; charset=utf-8' } });
 */
export function rateLimitOpenMetrics(metrics: RateLimitMetrics): string {
  const each = Object.entries(metrics.policies);
  const counters = families.map(([counter, name, help]) =>
    openMetricsFamily(
      `ratelimit_${name}`,
      'counter',
      help,
      each.map(([policy, counts]) => ['_total', { policy }, counts[counter]]),
    ),
  );
  const available = openMetricsFamily(
    'ratelimit_store_available',
    'gauge',
    'Whether the store is being asked.',
    [['', {}, metrics.available ? 1 : 0]],
  );
  return `${counters.join('')}${available}# EOF\n`;
}
