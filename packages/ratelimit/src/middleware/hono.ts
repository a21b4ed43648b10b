import { sameRequest } from '../http/check.ts';
import { whenSent } from '../http/when-sent.ts';
import type { RateLimiter } from '../limiter.ts';
import { type RateLimitOptions, RequestGate } from './request-gate.ts';

/** What is used of a context of Hono. */
export interface HonoContextLike {
  readonly req: { readonly raw: Request };
  res: Response;
  header(name: string, value: string): void;
}

/**
 * Hono middleware: 429 with a problem document, or the next handler and the header fields.
 *
 * A policy that several middlewares ask for the same id of one request is counted once.
 * Slots of `concurrency()` are given back when the response has been sent, or the client has gone.
 *
 * @example
 * import { rateLimit } from '@cachekit/ratelimit/hono';
 *
 * hono.use('/api/*', rateLimit(limiter, { check: (c: Context) => ({ ids: { api: [c.req.header('x-user') ?? 'nobody'] } }) }));
 */
export function rateLimit<Name extends string, Context extends HonoContextLike>(
  limiter: RateLimiter<Name>,
  options: RateLimitOptions<Name, Context>,
): (context: Context, next: () => Promise<void>) => Promise<Response | undefined> {
  const gate = new RequestGate<Name, [Context]>('rateLimit', limiter, options);
  return async (context, next) => {
    // Others on the way may replace the request, such as `bodyLimit()`.
    const request = context.req.raw;
    sameRequest(context, request);
    const checked = await gate.ask(context, context);
    if (checked === undefined) {
      await next();
      return undefined;
    }
    const { decision, release } = checked;
    if (!decision.allowed) {
      const { status, headers, body } = gate.rejection(decision);
      return new Response(body, { status, headers });
    }
    try {
      await next();
      // An upgrade or `Response.error()` cannot be made anew with other headers.
      const headers = context.res.status < 200 ? {} : gate.headers(context, decision);
      for (const name in headers) context.header(name, headers[name] as string);
      if (release !== undefined) context.res = whenSent(context.res, request, release);
    } catch (error) {
      release?.();
      throw error;
    }
    return undefined;
  };
}
