import type { Decision } from '../decision.ts';
import type { KeyParts } from '../key.ts';
import type { RateLimiter } from '../limiter.ts';
import type { ConsumeOptions } from '../request.ts';

/** What a middleware asks the limiter about one request. */
export interface RateLimitCheck<Name extends string> extends ConsumeOptions {
  /** For each policy to ask, whom it counts. */
  readonly ids: { readonly [Policy in Name]?: KeyParts };
}

/** Asks the limiter; the decision speaks of the policies that were asked. */
export function runCheck<Name extends string>(
  limiter: RateLimiter<Name>,
  { ids, ...options }: RateLimitCheck<Name>,
): Promise<Decision> {
  return limiter.consume(ids as Readonly<Record<Name, KeyParts>>, options);
}
