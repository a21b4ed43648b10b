import type { Decision, LimitStatus } from '../decision.ts';
import type { KeyParts } from '../key.ts';
import type { RateLimiter } from '../limiter.ts';
import type { ConsumeOptions } from '../request.ts';

/** What a middleware asks the limiter about one request. */
export interface RateLimitCheck<Name extends string> extends ConsumeOptions {
  /** For each policy to ask, whom it counts. If none is left, the request passes uncounted. */
  readonly ids: { readonly [Policy in Name]?: KeyParts };
}

/** What came out of a check. */
export interface Checked {
  /** Of all policies that were asked for this request so far. */
  readonly decision: Decision;
  /** Gives the slots of `concurrency()` back that this check took; absent if it took none. */
  readonly release: (() => void) | undefined;
}

/** What was counted for one request by one limiter. */
interface Counted {
  readonly ids: Set<string>;
  /** The last question, for one that comes at the same time. */
  asking: Promise<Checked> | undefined;
  decision: Decision | undefined;
}

const counted = new WeakMap<object, WeakMap<object, Counted>>();

/**
 * Asks the limiter; the decision speaks of the policies that were asked for this request so far.
 *
 * A policy that was asked for the same id of the same request before, by a middleware further out, is not asked again.
 *
 * @param request - The request itself; it is only compared, not changed.
 * @returns Nothing if there is nothing to ask.
 */
export async function runCheck<Name extends string>(
  limiter: RateLimiter<Name>,
  request: object,
  { ids, ...options }: RateLimitCheck<Name>,
): Promise<Checked | undefined> {
  const before = countedOf(request, limiter);
  const fresh: Record<string, KeyParts> = {};
  for (const [name, parts] of Object.entries<KeyParts | undefined>(ids)) {
    if (parts === undefined) continue;
    // A number counts as its text.
    const id = JSON.stringify([
      name,
      options.tenant ?? null,
      Array.isArray(parts) ? parts.map(String) : parts,
    ]);
    if (before.ids.has(id)) continue;
    before.ids.add(id);
    fresh[name] = parts;
  }
  const names = Object.keys(fresh);
  if (names.length === 0) {
    const { decision } = before.decision === undefined ? ((await before.asking) ?? before) : before;
    return decision && { decision, release: undefined };
  }
  before.asking = ask(limiter, fresh as Record<Name, KeyParts>, optionsFor(names, options));
  const { decision, release } = await before.asking;
  before.decision = before.decision === undefined ? decision : merged(before.decision, decision);
  return { decision: before.decision, release };
}

async function ask<Name extends string>(
  limiter: RateLimiter<Name>,
  ids: Record<Name, KeyParts>,
  options: ConsumeOptions,
): Promise<Checked> {
  const { policies } = limiter;
  // An unknown policy is for the limiter to refuse.
  const takesSlots = Object.keys(ids).some(
    (name) => policies[name as Name]?.algorithm.name === 'concurrency',
  );
  if (!takesSlots) return { decision: await limiter.consume(ids, options), release: undefined };
  const reservation = await limiter.reserve(ids, options);
  const release = (): void => {
    // A slot that cannot be given back is free when its lease is over; the limiter tells of the failure.
    reservation.commit().catch(() => {});
  };
  return { decision: reservation.decision, release: reservation.decision.allowed ? release : undefined };
}

/** Says that both stand for the same request, such as a context and the request that it has at the moment. */
export function sameRequest(context: object, request: object): void {
  const limiters = counted.get(context) ?? counted.get(request) ?? new WeakMap();
  counted.set(context, limiters);
  counted.set(request, limiters);
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
    found = { ids: new Set(), asking: undefined, decision: undefined };
    limiters.set(limiter, found);
  }
  return found;
}

/** Limits of policies that are not asked again are left out. */
function optionsFor(names: readonly string[], options: ConsumeOptions): ConsumeOptions {
  const { limits } = options;
  // What is none is for the limiter to refuse.
  if (typeof limits !== 'object' || limits === null) return options;
  const chosen = Object.entries(limits).filter(([name]) => names.includes(name));
  return { ...options, limits: Object.fromEntries(chosen) };
}

/** The later decision, which also tells how the policies stand that were asked before. */
function merged(before: Decision, after: Decision): Decision {
  const limits: Record<string, LimitStatus> = { ...before.limits, ...after.limits };
  return { ...after, limits, shadowed: [...before.shadowed, ...after.shadowed] };
}
