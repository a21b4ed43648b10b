import { assertKnownOptions, ConfigurationError, durationMs } from '@cachekit/core';
import type { Decision } from '../decision.ts';
import { type Checked, decisionSoFar, type RateLimitCheck, runCheck } from '../http/check.ts';
import { type RateLimitFields, rateLimitHeaders } from '../http/headers.ts';
import { type AnswerOptions, spreadTimes } from '../http/spread.ts';
import { type RejectionParts, tooManyRequests } from '../http/too-many-requests.ts';
import type { RateLimiter } from '../limiter.ts';

type Check<Name extends string, Args extends unknown[]> = (
  ...args: Args
) => RateLimitCheck<Name> | undefined | Promise<RateLimitCheck<Name> | undefined>;

/** What `rateLimit` takes. */
export interface RateLimitOptions<Name extends string, Req> extends AnswerOptions {
  /** What to ask about a request; `undefined` lets it pass uncounted. */
  check: (request: Req) => RateLimitCheck<Name> | undefined | Promise<RateLimitCheck<Name> | undefined>;
}

/** What middlewares have in common: it asks the limiter about requests, and says what to answer. */
export class RequestGate<Name extends string, Args extends unknown[]> {
  readonly #limiter: RateLimiter<Name>;
  readonly #check: Check<Name, Args>;
  readonly #fields: RateLimitFields | undefined;
  readonly #spreadMs: number;

  /**
   * @param what - The function that is named in errors.
   * @throws ConfigurationError `INVALID_CONFIGURATION` for an option that is none.
   */
  constructor(
    what: string,
    limiter: RateLimiter<Name>,
    options: AnswerOptions & { check: Check<Name, Args> },
  ) {
    assertKnownOptions(what, options, ['check', 'fields', 'spread']);
    if (typeof options.check !== 'function') throw new ConfigurationError(`${what}: check: give a function`);
    this.#limiter = limiter;
    this.#check = options.check;
    this.#fields = options.fields;
    this.#spreadMs = durationMs(options.spread ?? 0, `${what}: spread`);
  }

  /**
   * @param request - The request itself.
   * @returns Nothing if the request passes uncounted.
   */
  async ask(request: object, ...args: Args): Promise<Checked | undefined> {
    const asked = await this.#check(...args);
    return asked && (await runCheck(this.#limiter, request, asked));
  }

  /** The header fields of a request that passes: of all that was asked about it so far, also further in. */
  headers(request: object, decision: Decision): Readonly<Record<string, string>> {
    const sofar = decisionSoFar(this.#limiter, request) ?? decision;
    return rateLimitHeaders(spreadTimes(sofar, this.#spreadMs), this.#fields);
  }

  /** The answer to a request that does not pass. */
  rejection(decision: Decision): RejectionParts {
    return tooManyRequests(spreadTimes(decision, this.#spreadMs), this.#fields);
  }
}
