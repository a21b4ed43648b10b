import { type ClosingResponse, whenClosed } from '../http/when-sent.ts';
import type { RateLimiter } from '../limiter.ts';
import { type RateLimitOptions, RequestGate } from './request-gate.ts';

/** What is used of a response; Express, Connect and `node:http` have it. */
export interface ResponseLike extends ClosingResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
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
  const gate = new RequestGate<Name, [Req]>('rateLimit', limiter, options);

  async function passes(request: Req, response: ResponseLike): Promise<boolean> {
    const checked = await gate.ask(request, request);
    if (checked === undefined) return true;
    const { decision, release } = checked;
    if (release !== undefined) whenClosed(response, release);
    if (decision.allowed) {
      setHeaders(response, gate.headers(request, decision));
      return true;
    }
    const { status, headers, body } = gate.rejection(decision);
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
