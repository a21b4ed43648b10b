import type { Decision, LimitStatus } from '../decision.ts';
import type { KeyParts } from '../key.ts';
import type { RateLimiter } from '../limiter.ts';
import type { ConsumeOptions } from '../request.ts';

/** What a middleware asks the limiter about one request. */
export interface RateLimitCheck<Name extends string> extends ConsumeOptions {
  /** For each policy to ask, whom it counts. */
  readonly ids: { readonly [Policy in Name]?: KeyParts };
}

/** What was counted for one request by one limiter. */
interface Counted {
  readonly ids: Set<string>;
  decision: Decision | undefined;
}

const counted = new WeakMap<object, WeakMap<object, Counted>>();

/**
 * Asks the limiter; the decision speaks of the policies that were asked for this request so far.
 *
 * A policy that was asked for the same id of the same request before, by a middleware further out, is not asked again.
 *
 * @param request - The request itself; it is only compared, not changed.
 */
export async function runCheck<Name extends string>(
  limiter: RateLimiter<Name>,
  request: object,
  { ids, ...options }: RateLimitCheck<Name>,
): Promise<Decision> {
  const before = countedOf(request, limiter);
  const fresh: Record<string, KeyParts> = {};
  for (const [name, parts] of Object.entries<KeyParts | undefined>(ids)) {
    if (parts === undefined) continue;
    const id = JSON.stringify([name, options.tenant ?? null, parts]);
    if (before.ids.has(id)) continue;
    before.ids.add(id);
    fresh[name] = parts;
  }
  const names = Object.keys(fresh);
  if (names.length === 0 && before.decision !== undefined) return before.decision;
  const decision: Decision = await limiter.consume(
    fresh as Record<Name, KeyParts>,
    optionsFor(names, options),
  );
  before.decision = before.decision === undefined ? decision : merged(before.decision, decision);
  return before.decision;
}

/** What was decided for a request so far, also by middlewares further in; the header fields speak of all of it. */
export function decisionSoFar(limiter: object, request: object): Decision | undefined {
  return counted.get(request)?.get(limiter)?.decision;
}

function countedOf(request: object, limiter: object): Counted {
  let limiters = counted.get(request);
  if (limiters === undefined) {
    limiters = new WeakMap();
    counted.set(request, limiters);
  }
  let found = limiters.get(limiter);
  if (found === undefined) {
    found = { ids: new Set(), decision: undefined };
    limiters.set(limiter, found);
  }
  return found;
}

/** Limits of policies that are not asked again are left out. */
function optionsFor(names: readonly string[], options: ConsumeOptions): ConsumeOptions {
  const { limits } = options;
  if (limits === undefined) return options;
  const chosen = Object.entries(limits).filter(([name]) => names.includes(name));
  return { ...options, limits: Object.fromEntries(chosen) };
}

/** The later decision, which also tells how the policies stand that were asked before. */
function merged(before: Decision, after: Decision): Decision {
  const limits: Record<string, LimitStatus> = { ...before.limits, ...after.limits };
  return { ...after, limits, shadowed: [...before.shadowed, ...after.shadowed] };
}
