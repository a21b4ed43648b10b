import type { RateLimitCheck } from '../http/check.ts';
import type { AnswerOptions } from '../http/spread.ts';
import { whenSent } from '../http/when-sent.ts';
import type { RateLimiter } from '../limiter.ts';
import { RequestGate } from './request-gate.ts';

/** What {@link withRateLimit} takes. */
export interface WithRateLimitOptions<Name extends string, Rest extends unknown[]> extends AnswerOptions {
  /** What to ask about a request; `undefined` lets it pass uncounted. */
  check: (
    request: Request,
    ...rest: Rest
  ) => RateLimitCheck<Name> | undefined | Promise<RateLimitCheck<Name> | undefined>;
}

/**
 * Limits a fetch-style handler (Hono, Next route handlers, edge workers): 429 with a problem document, or the
 * handler's response with the header fields added.
 *
 * A policy that several of these ask for the same id of one request is counted once. Errors of `check` and of the handler pass unchanged.
 * Slots of `concurrency()` are given back when the response has been sent, or the client has gone.
 *
 * @param handler - Called with whatever the returned function is called with.
 * @example
 * export const GET = withRateLimit(
 *   limiter,
 *   { check: (request) => ({ ids: { api: [userOf(request)] } }) },
 *   (request) => Response.json({ hello: 'world' }),
 * );
 */
export function withRateLimit<Name extends string, Rest extends unknown[]>(
  limiter: RateLimiter<Name>,
  options: WithRateLimitOptions<Name, Rest>,
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const gate = new RequestGate<Name, [Request, ...Rest]>('withRateLimit', limiter, options);
  return async (request, ...rest) => {
    const checked = await gate.ask(request, request, ...rest);
    if (checked === undefined) return handler(request, ...rest);
    const { decision, release } = checked;
    if (!decision.allowed) {
      const { status, headers, body } = gate.rejection(decision);
      return new Response(body, { status, headers });
    }
    try {
      const response = await handler(request, ...rest);
      const told = withHeaders(response, gate.headers(request, decision));
      return release === undefined ? told : whenSent(told, request, release);
    } catch (error) {
      release?.();
      throw error;
    }
  };
}

function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  try {
    for (const name in headers) response.headers.set(name, headers[name] as string);
    return response;
  } catch {
    // The headers of a response that came from `fetch()` or `Response.redirect()` cannot be changed; one that is an upgrade or
    // `Response.error()` cannot be copied either.
    if (response.status < 200) return response;
    const copy = new Response(response.body, response);
    for (const name in headers) copy.headers.set(name, headers[name] as string);
    return copy;
  }
}
