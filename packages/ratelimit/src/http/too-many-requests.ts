import type { Decision } from '../decision.ts';
import { type RateLimitFields, rateLimitHeaders } from './headers.ts';

/** A response in parts, for any framework. */
export interface RejectionParts {
  /** 429, or 503 if the request was denied because nobody could count. */
  readonly status: 429 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON of `application/problem+json`. */
  readonly body: string;
}

const problemTypes = 'https://iana.org/assignments/http-problem-types';

/**
 * The response to a request that was denied: status, header fields and a problem document that names the policies.
 *
 * It says nothing about whom the policies count.
 *
 * @see RFC 6585 section 4 (429), RFC 9457 (problem details), draft-ietf-httpapi-ratelimit-headers-11 section 5
 * @example
 * const { status, headers, body } = tooManyRequests(decision);
 * new Response(body, { status, headers });
 */
export function tooManyRequests(decision: Decision, fields: RateLimitFields = 'both'): RejectionParts {
  const counted = decision.source !== 'closed';
  const status = counted ? 429 : 503;
  const problem = {
    type: `${problemTypes}#${counted ? 'quota-exceeded' : 'temporary-reduced-capacity'}`,
    title: counted ? 'Too many requests' : 'Requests cannot be counted at the moment',
    status,
    detail: detail(decision.retryAfterMs),
    'violated-policies': decision.violated,
  };
  return {
    status,
    headers: {
      ...rateLimitHeaders(decision, fields),
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
    },
    body: JSON.stringify(problem),
  };
}

function detail(retryAfterMs: number): string {
  if (!Number.isFinite(retryAfterMs))
    return 'The request costs more than the whole quota: it can never pass.';
  return `The same request can pass in ${Math.ceil(retryAfterMs / 1_000)} s.`;
}
