import { assertKnownOptions, ConfigurationError, durationMs } from '@cachekit/core';
import { decisionSoFar, type RateLimitCheck, runCheck } from '../http/check.ts';
import { rateLimitHeaders } from '../http/headers.ts';
import { type AnswerOptions, spreadTimes } from '../http/spread.ts';
import { tooManyRequests } from '../http/too-many-requests.ts';
import { whenSent } from '../http/when-sent.ts';
import type { RateLimiter } from '../limiter.ts';

/** What is used of a context of Hono. */
export interface HonoContextLike {
  readonly req: { readonly raw: Request };
  res: Response;
  header(name: string, value: string): void;
}

/** What {@link rateLimit} takes. */
export interface RateLimitOptions<Name extends string, Context> extends AnswerOptions {
  /** What to ask about a request; `undefined` lets it pass uncounted. */
  check: (context: Context) => RateLimitCheck<Name> | undefined | Promise<RateLimitCheck<Name> | undefined>;
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
  assertKnownOptions('rateLimit', options, ['check', 'fields', 'spread']);
  const { check, fields } = options;
  const spreadMs = durationMs(options.spread ?? 0, 'rateLimit: spread');
  if (typeof check !== 'function') throw new ConfigurationError('rateLimit: check: give a function');
  return async (context, next) => {
    const asked = await check(context);
    const checked = asked && (await runCheck(limiter, context.req.raw, asked));
    if (checked === undefined) {
      await next();
      return undefined;
    }
    const { decision, release } = checked;
    if (!decision.allowed) {
      const { status, headers, body } = tooManyRequests(spreadTimes(decision, spreadMs), fields);
      return new Response(body, { status, headers });
    }
    try {
      await next();
    } catch (error) {
      release?.();
      throw error;
    }
    const headers = rateLimitHeaders(
      spreadTimes(decisionSoFar(limiter, context.req.raw) ?? decision, spreadMs),
      fields,
    );
    for (const name in headers) context.header(name, headers[name] as string);
    if (release !== undefined) context.res = whenSent(context.res, context.req.raw.signal, release);
    return undefined;
  };
}
