import { assertKnownOptions, ConfigurationError, durationMs } from '@cachekit/core';
import { type RateLimitCheck, runCheck } from '../http/check.ts';
import { rateLimitHeaders } from '../http/headers.ts';
import { type AnswerOptions, spreadTimes } from '../http/spread.ts';
import { tooManyRequests } from '../http/too-many-requests.ts';
import { type ClosingResponse, whenClosed } from '../http/when-sent.ts';
import type { RateLimiter } from '../limiter.ts';

/** What is used of a response; Express, Connect and `node:http` have it. */
export interface ResponseLike extends ClosingResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** What {@link rateLimit} takes. */
export interface RateLimitOptions<Name extends string, Req> extends AnswerOptions {
  /** What to ask about a request; `undefined` lets it pass uncounted. */
  check: (request: Req) => RateLimitCheck<Name> | undefined | Promise<RateLimitCheck<Name> | undefined>;
}

/**
 * Express middleware: 429 with a problem document, or the header fields and the next handler.
 *
 * A policy that several middlewares ask for the same id of one request is counted once. Errors, also of `check`, go to
 * `next(error)`.
 * Slots of `concurrency()` are given back when the response has been sent, or the client has gone.
 *
 * @example
 * import { rateLimit } from '@cachekit/ratelimit/express';
 *
 * app.use(
 *   '/api',
 *   rateLimit(limiter, { check: (request: express.Request) => ({ ids: { api: [request.ip ?? 'unknown'] } }) }),
 * );
 */
export function rateLimit<Name extends string, Req extends object>(
  limiter: RateLimiter<Name>,
  options: RateLimitOptions<Name, Req>,
): (request: Req, response: ResponseLike, next: (error?: unknown) => void) => void {
  assertKnownOptions('rateLimit', options, ['check', 'fields', 'spread']);
  const { check, fields } = options;
  const spreadMs = durationMs(options.spread ?? 0, 'rateLimit: spread');
  if (typeof check !== 'function') throw new ConfigurationError('rateLimit: check: give a function');

  async function passes(request: Req, response: ResponseLike): Promise<boolean> {
    const asked = await check(request);
    if (asked === undefined) return true;
    const checked = await runCheck(limiter, request, asked);
    if (checked === undefined) return true;
    const { decision, release } = checked;
    if (release !== undefined) whenClosed(response, release);
    if (decision.allowed) {
      setHeaders(response, rateLimitHeaders(spreadTimes(decision, spreadMs), fields));
      return true;
    }
    const { status, headers, body } = tooManyRequests(spreadTimes(decision, spreadMs), fields);
    response.statusCode = status;
    setHeaders(response, headers);
    response.end(body);
    return false;
  }

  return (request, response, next) => {
    passes(request, response).then((pass) => {
      if (pass) next();
    }, next);
  };
}

function setHeaders(response: ResponseLike, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) response.setHeader(name, headers[name] as string);
}
