import type { Decision, LimitStatus } from '../decision.ts';

/**
 * Which header fields a response carries: the IETF ones, the older `X-RateLimit-*`, or both. `Retry-After` is always
 * there when it says something.
 */
export type RateLimitFields = 'both' | 'ietf' | 'legacy';

/**
 * The header fields that tell a client how it stands.
 *
 * | field                                 | says                                                                    |
 * | ------------------------------------- | ----------------------------------------------------------------------- |
 * | `RateLimit-Policy`                    | every policy asked: quota `q`, window `w` (only if it is whole seconds), unit `qu` of slots  |
 * | `RateLimit`                           | every policy asked: remaining `r`, seconds `t` until more               |
 * | `X-RateLimit-Limit/-Remaining/-Reset` | the policy that binds: of those that said no the longest wait, else the fewest left; `Reset` is in seconds from now |
 * | `Retry-After`                         | on a "no": seconds, rounded up; absent if waiting never helps           |
 *
 * `t` is, for a policy that said no, the time until the same request passes, never later than `Retry-After`; on an
 * allowed request the time until the whole quota is back; for the other policies of a "no" it is left out. When
 * nobody could count, nothing is said about what remains.
 *
 * The partition key `pk`, which the draft leaves open, is not sent. One that clients can compute, as it asks for, is a
 * hash that whoever sees the response can guess the id from; one they cannot compute tells them nothing.
 *
 * @see draft-ietf-httpapi-ratelimit-headers-11, RFC 9651 (structured fields), RFC 9110 section 10.2.3 (Retry-After)
 * @example
 * for (const [name, value] of Object.entries(rateLimitHeaders(decision))) response.setHeader(name, value);
 */
export function rateLimitHeaders(
  decision: Decision,
  fields: RateLimitFields = 'both',
): Record<string, string> {
  const headers: Record<string, string> = {};
  const statuses: [string, LimitStatus][] = Object.entries(decision.limits);
  if (fields !== 'legacy') {
    headers['RateLimit-Policy'] = statuses.map(policyItem).join(', ');
    const items = statuses.flatMap((status) => limitItem(decision, status));
    if (items.length > 0) headers.RateLimit = items.join(', ');
  }
  if (fields !== 'ietf') {
    const status = binding(statuses);
    headers['X-RateLimit-Limit'] = String(status.limit);
    if (status.remaining !== undefined) headers['X-RateLimit-Remaining'] = String(status.remaining);
    if (status.resetMs !== undefined) headers['X-RateLimit-Reset'] = String(seconds(status.resetMs));
  }
  if (!decision.allowed && Number.isFinite(decision.retryAfterMs)) {
    headers['Retry-After'] = String(seconds(decision.retryAfterMs));
  }
  return headers;
}

function policyItem([name, { limit, windowMs, unit }]: [string, LimitStatus]): string {
  // A lease is no window: slots do not come back after it, but when they are given back.
  if (unit !== undefined) return `"${name}";q=${limit};qu="${unit}"`;
  return windowMs % 1_000 === 0 ? `"${name}";q=${limit};w=${windowMs / 1_000}` : `"${name}";q=${limit}`;
}

function limitItem(decision: Decision, [name, status]: [string, LimitStatus]): string[] {
  const { remaining, resetMs, retryAfterMs } = status;
  if (remaining === undefined) return [];
  if (decision.allowed) {
    return [
      resetMs === undefined ? `"${name}";r=${remaining}` : `"${name}";r=${remaining};t=${seconds(resetMs)}`,
    ];
  }
  const waits = retryAfterMs > 0 && Number.isFinite(retryAfterMs);
  return [waits ? `"${name}";r=${remaining};t=${seconds(retryAfterMs)}` : `"${name}";r=${remaining}`];
}

function binding(statuses: readonly [string, LimitStatus][]): LimitStatus {
  const [first, ...others] = statuses.map(([, status]) => status);
  return others.reduce((a, b) => (binds(b, a) ? b : a), first as LimitStatus);
}

function binds(a: LimitStatus, b: LimitStatus): boolean {
  if (a.retryAfterMs !== b.retryAfterMs) return a.retryAfterMs > b.retryAfterMs;
  return (a.remaining ?? a.limit) / a.limit < (b.remaining ?? b.limit) / b.limit;
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}
