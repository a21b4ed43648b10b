import { ArgumentError, assertKnownOptions, ConfigurationError, durationMs } from '@cachekit/core';
import type { Decision } from '../decision.ts';
import { type Checked, decisionSoFar, type RateLimitCheck, runCheck } from '../http/check.ts';
import { type RateLimitFields, rateLimitHeaders } from '../http/headers.ts';
import { type AnswerOptions, spreadTimes } from '../http/spread.ts';
import { type RejectionParts, tooManyRequests } from '../http/too-many-requests.ts';
import type { RateLimiter } from '../limiter.ts';

type Check<Name extends string, Args extends unknown[]> = (
  ...args: Args
) => RateLimitCheck<Name> | undefined | Promise<RateLimitCheck<Name> | undefined>;

const knownFields: readonly unknown[] = ['both', 'ietf', 'legacy', undefined];

/** What `rateLimit` takes. */
export interface RateLimitOptions<Name extends string, Req> extends AnswerOptions {
  /** What to ask about a request; `undefined` lets it pass uncounted. */
  check: (request: Req) => RateLimitCheck<Name> | undefined | Promise<RateLimitCheck<Name> | undefined>;
}

/** What middlewares have in common: it asks the limiter about requests, and says what to answer. */
export class RequestGate<Name extends string, Args extends unknown[]> {
  readonly #what: string;
  readonly #limiter: RateLimiter<Name>;
  readonly #check: Check<Name, Args>;
  readonly #fields: RateLimitFields | undefined;
  readonly #spreadMs: number;

  /**
   * @param what - The function that is named in errors.
   * @throws ConfigurationError `INVALID_CONFIGURATION` for a limiter or an option that is none.
   */
  constructor(
    what: string,
    limiter: RateLimiter<Name>,
    options: AnswerOptions & { check: Check<Name, Args> },
  ) {
    assertKnownOptions(what, options, ['check', 'fields', 'spread']);
    if (typeof options.check !== 'function') throw new ConfigurationError(`${what}: check: give a function`);
    if (typeof limiter?.consume !== 'function') {
      throw new ConfigurationError(`${what}: give a limiter of createRateLimiter()`);
    }
    if (!knownFields.includes(options.fields)) {
      throw new ConfigurationError(`${what}: fields: give both, ietf or legacy`);
    }
    this.#what = what;
    this.#limiter = limiter;
    this.#check = options.check;
    this.#fields = options.fields;
    this.#spreadMs = durationMs(options.spread ?? 0, `${what}: spread`);
  }

  /**
   * @param request - The request itself.
   * @returns Nothing if the request passes uncounted.
   * @throws ArgumentError `INVALID_ARGUMENT` if what the check gave is none, or it failed without an error.
   */
  async ask(request: object, ...args: Args): Promise<Checked | undefined> {
    try {
      const asked = await this.#check(...args);
      if (asked === undefined) return undefined;
      if (typeof asked?.ids === 'object' && asked.ids !== null) {
        return await runCheck(this.#limiter, request, asked);
      }
    } catch (error) {
      // Frameworks take any other for none, and would let the request pass.
      if (error) throw error;
      throw new ArgumentError(`${this.#what}: check: it failed and gave no reason`);
    }
    throw new ArgumentError(`${this.#what}: check: give { ids }, or undefined to let the request pass`);
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
