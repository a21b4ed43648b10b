import { ArgumentError, type Clock, type Duration, durationMs, escapePart } from '@cachekit/core';
import { maxWindowMs, type Policy } from './algorithms/policy.ts';
import { Checks } from './checks.ts';
import type { Decision } from './decision.ts';
import type { BlockOptions, CheckedIds, LimitIds, RateLimiter, WaitOptions } from './limiter.ts';
import type { OnUnavailable } from './on-unavailable.ts';
import {
  assertCallOptions,
  type ConsumeOptions,
  checkedCost,
  type Target,
  Targets,
  type TenantOption,
} from './request.ts';
import { type Reservation, reservationOf } from './reservation.ts';
import type { LimitStore } from './stores/store.ts';
import { WaitLines } from './wait-lines.ts';

const consumeOptions = ['tenant', 'cost', 'limits'];
const longestReason = 100;

/** What a limiter needs. */
export interface StoreLimiterParts {
  readonly policies: Readonly<Record<string, Policy>>;
  readonly store: LimitStore;
  readonly timeoutMs: number;
  readonly onUnavailable: OnUnavailable;
  readonly instances: number;
  readonly allow: ((check: CheckedIds) => boolean) | undefined;
  readonly deny: ((check: CheckedIds) => boolean) | undefined;
  readonly clock: Clock;
}

/** {@link RateLimiter} over a store. */
export function storeLimiter(parts: StoreLimiterParts): RateLimiter {
  const { policies, store, timeoutMs, onUnavailable, instances, allow, deny, clock } = parts;
  const lines = new WaitLines(clock);
  const checks = new Checks({
    policies,
    store,
    timeoutMs,
    onUnavailable,
    instances,
    clock,
    onGiven: (keys) => lines.wake(keys),
  });
  const targets = new Targets(policies, store.namespace);

  /** What `allow` or `deny` decide, before anything is counted. */
  function predicted(
    names: readonly string[],
    target: Target,
    ids: LimitIds<string>,
    tenant: string | undefined,
  ): Decision | undefined {
    if (isYes('deny', deny?.({ ids, tenant }))) return checks.predicted('deny', names, target);
    if (isYes('allow', allow?.({ ids, tenant }))) return checks.predicted('allow', names, target);
    return undefined;
  }

  function decided(ids: LimitIds<string>, call: ConsumeOptions): Decision | Promise<Decision> {
    assertCallOptions('consume', call, consumeOptions);
    const names = Object.keys(ids ?? {});
    const cost = checkedCost('consume', call.cost);
    const target = targets.of('consume', names, ids, call);
    if (allow !== undefined || deny !== undefined) {
      const decision = predicted(names, target, ids, call.tenant);
      if (decision !== undefined) return decision;
    }
    return checks.take(names, target, cost);
  }

  // Not async: a function that is one would make two promises more per check.
  function consume(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<Decision> {
    try {
      const decision = decided(ids, call);
      return decision instanceof Promise ? decision : Promise.resolve(decision);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async function peek(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<Decision> {
    assertCallOptions('peek', call, consumeOptions);
    const names = Object.keys(ids ?? {});
    const cost = checkedCost('peek', call.cost);
    const target = targets.of('peek', names, ids, call);
    return predicted(names, target, ids, call.tenant) ?? checks.peek(names, target, cost);
  }

  async function refund(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<void> {
    assertCallOptions('refund', call, consumeOptions);
    const target = targets.of('refund', Object.keys(ids ?? {}), ids, call);
    await checks.settle('give', target, checkedCost('refund', call.cost));
  }

  async function reserve(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<Reservation> {
    assertCallOptions('reserve', call, consumeOptions);
    const names = Object.keys(ids ?? {});
    const cost = checkedCost('reserve', call.cost);
    const target = targets.of('reserve', names, ids, call);
    const decision = predicted(names, target, ids, call.tenant);
    if (decision === undefined) return reservationOf(checks, await checks.reserve(names, target, cost));
    const request = { mode: 'take' as const, ...target, cost, now: clock.now() };
    return reservationOf(checks, { decision, session: undefined, request, cost, at: undefined });
  }

  async function wait(ids: LimitIds<string>, call: WaitOptions = {}): Promise<Decision> {
    assertCallOptions('wait', call, [...consumeOptions, 'maxWait', 'signal']);
    const { maxWait = '30s', signal, ...rest } = call;
    const names = Object.keys(ids ?? {});
    const { keys, policies: asked } = targets.of('wait', names, ids, call);
    const cost = checkedCost('wait', call.cost);
    const maxWaitMs = argumentMs('wait: maxWait', maxWait);
    // What can never pass waits for nobody.
    if (asked.some(({ limit, shadow }) => cost > limit && !shadow)) return consume(ids, rest);
    return lines.wait(keys, () => reserve(ids, rest), maxWaitMs, signal);
  }

  async function block(ids: LimitIds<string>, call: BlockOptions): Promise<void> {
    assertCallOptions('block', call ?? {}, ['tenant', 'duration', 'reason']);
    const { duration, reason } = call ?? {};
    const ms = argumentMs('block: duration', duration);
    if (!Number.isInteger(ms) || ms < 1 || ms > maxWindowMs) {
      throw new ArgumentError('block: duration: give whole milliseconds, from 1 ms to 366 days');
    }
    if (typeof reason !== 'string' || reason === '' || reason.length > longestReason) {
      throw new ArgumentError(`block: reason: give text of 1 to ${longestReason} characters`);
    }
    const target = targets.of('block', Object.keys(ids ?? {}), ids, call);
    for (const { algorithm, limit, windowMs } of target.policies) {
      if (algorithm.name === 'gcra' && limit * (windowMs + ms) > 2 ** 52) {
        throw new ArgumentError(`block: duration: ${ms} ms is too long for a limit of ${limit}`);
      }
    }
    await checks.block(target, ms, escapePart(reason));
  }

  async function reset(ids: LimitIds<string>, call: TenantOption = {}): Promise<void> {
    assertCallOptions('reset', call, ['tenant']);
    await checks.reset(targets.of('reset', Object.keys(ids ?? {}), ids, call));
  }

  return {
    policies,
    consume: consume as RateLimiter['consume'],
    peek: peek as RateLimiter['peek'],
    refund,
    reserve: reserve as RateLimiter['reserve'],
    wait: wait as RateLimiter['wait'],
    block,
    reset,
    metrics: () => checks.metrics(),
    resetMetrics: () => checks.resetMetrics(),
    on: (event, listener) => checks.listeners.on(event, listener),
    off: (event, listener) => checks.listeners.off(event, listener),
  };
}

/** A promise is no answer: taken for one, it would deny nobody. */
function isYes(name: 'deny' | 'allow', answer: unknown): boolean {
  if (typeof (answer as PromiseLike<unknown> | undefined)?.then === 'function') {
    throw new ArgumentError(`${name}: give a function that answers at once; it gave a promise`);
  }
  return answer === true;
}

function argumentMs(name: string, duration: Duration): number {
  try {
    return durationMs(duration, name);
  } catch (error) {
    throw new ArgumentError((error as Error).message);
  }
}
