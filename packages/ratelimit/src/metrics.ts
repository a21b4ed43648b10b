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
  ['allowed', 'allowed', 'Requests that passed'],
  ['denied', 'denied', 'Requests that a policy said no to'],
  ['shadowed', 'shadowed', 'Requests that a shadow policy would have said no to'],
  ['fallback', 'fallback', 'Requests decided without the store, because it was unavailable'],
  ['timeouts', 'timeouts', 'Requests to which the store did not answer in time'],
  ['denyCacheHits', 'deny_cache_hits', 'Requests denied without asking the store'],
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
  const lines: string[] = [];
  for (const [counter, name, help] of families) {
    const family = `cachekit_ratelimit_${name}`;
    lines.push(`# TYPE ${family} counter`, `# HELP ${family} ${help}.`);
    for (const [policy, counts] of Object.entries(metrics.policies)) {
      lines.push(`${family}_total{policy="${policy}"} ${counts[counter]}`);
    }
  }
  const available = 'cachekit_ratelimit_store_available';
  lines.push(`# TYPE ${available} gauge`, `# HELP ${available} Whether the store is being asked.`);
  lines.push(`${available} ${metrics.available ? 1 : 0}`, '# EOF', '');
  return lines.join('\n');
}
