import type { Decision } from '../decision.ts';
import { type RateLimitFields, rateLimitHeaders } from './headers.ts';

/** A response in parts, for any framework. */
export interface RejectionParts {
  /** 429; 503 if the request was denied because nobody could count; 403 if your `deny` said so. */
  readonly status: 403 | 429 | 503;
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
  const { status, type, title } = problemOf(decision);
  const problem = {
    type,
    title,
    status,
    detail: detail(decision),
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

function problemOf({ reason }: Decision): Pick<RejectionParts, 'status'> & { type: string; title: string } {
  if (reason === 'denied') return { status: 403, type: 'about:blank', title: 'Forbidden' };
  if (reason === 'unavailable') {
    const title = 'Requests cannot be counted at the moment';
    return { status: 503, type: `${problemTypes}#temporary-reduced-capacity`, title };
  }
  const type = `${problemTypes}#${reason === 'blocked' ? 'abnormal-usage-detected' : 'quota-exceeded'}`;
  return { status: 429, type, title: 'Too many requests' };
}

function detail({ reason, retryAfterMs }: Decision): string {
  if (reason === 'denied') return 'Requests of this client are not served.';
  if (!Number.isFinite(retryAfterMs))
    return 'The request costs more than the whole quota: it can never pass.';
  return `The same request can pass in ${Math.ceil(retryAfterMs / 1_000)} s.`;
}
