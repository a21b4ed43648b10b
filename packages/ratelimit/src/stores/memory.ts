import { assertKnownOptions, ConfigurationError, defaultNamespace } from '@cachekit/core';
import { type LimitState, returnableSteps, type Step } from '../algorithms/algorithm.ts';
import type { Policy } from '../algorithms/policy.ts';
import { allFit, peekAll, stepAll } from '../algorithms/step-all.ts';
import { MemorySlots } from './memory-slots.ts';
import type { LimitRequest, LimitSession, LimitStore, StoreAnswer } from './store.ts';

/** What a memory store takes. */
export interface MemoryStoreOptions {
  /**
   * Most keys kept; an integer from 1.
   * @defaultValue 100_000
   */
  maxKeys?: number;
}

/**
 * Counts in this process: for one process, for tests, and for what is left when Redis is away.
 *
 * Bounded: when it is full it forgets what has run out, then the keys that are furthest from their limit, an eighth
 * at a time. So a flood of new ids does not free an id that is at its limit or blocked, unless all are.
 *
 * Time is the limiter's clock. A clock that is set back delays nobody by more than a window, unless somebody blocked
 * the key.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if `maxKeys` is no integer from 1.
 * @example
 * const limiter = createRateLimiter({
 *   policies: { api: gcra({ limit: 60, window: '1m' }) },
 *   store: memoryStore(),
 * });
 */
export function memoryStore(options: MemoryStoreOptions = {}): LimitStore {
  assertKnownOptions('memoryStore', options, ['maxKeys']);
  const { maxKeys = 100_000 } = options;
  if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) {
    throw new ConfigurationError(`memoryStore: maxKeys: ${String(maxKeys)} is none; give an integer from 1`);
  }
  const slots = new MemorySlots(maxKeys);
  return {
    name: 'memory',
    namespace: defaultNamespace,
    open: (): LimitSession => sessionOver(slots),
  };
}

function sessionOver(slots: MemorySlots): LimitSession {
  return {
    check: (request) => check(slots, request),
    block({ policies, keys, durationMs, reason, now }): void {
      for (const [i, key] of keys.entries()) {
        const policy = policies[i] as Policy;
        const state = policy.algorithm.block(
          slots.get(key),
          policy,
          durationMs,
          decodeURIComponent(reason),
          now,
        );
        slots.set(key, policy, state, now);
      }
    },
    reset(keys): void {
      for (const key of keys) slots.delete(key);
    },
  };
}

function check(slots: MemorySlots, request: LimitRequest): StoreAnswer {
  const { mode, policies, keys, cost, now } = request;
  if (keys.length === 1 && mode === 'take' && request.returnable !== true)
    return checkOne(slots, policies[0] as Policy, keys[0] as string, cost, now);
  const states: (LimitState | undefined)[] = [];
  for (const key of keys) states.push(slots.get(key));
  if (mode === 'give') {
    for (const [i, key] of keys.entries()) {
      const policy = policies[i] as Policy;
      const state = policy.algorithm.give(states[i], policy, cost, now, request.at?.[i]);
      if (state === undefined) slots.delete(key);
      else slots.set(key, policy, state, now);
    }
    return { steps: [], atomic: true };
  }
  if (mode === 'peek') {
    const steps = peekAll(policies, states, cost, now);
    for (const [i, key] of keys.entries()) slots.shorten(key, policies[i] as Policy, now);
    return { steps, atomic: true };
  }
  const steps = stepAll(policies, states, cost, now, mode === 'force');
  const taken = allFit(policies, steps);
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i] as Step;
    if (taken && step.fits) slots.set(keys[i] as string, policies[i] as Policy, step, now);
    else slots.shorten(keys[i] as string, policies[i] as Policy, now);
  }
  return { steps: request.returnable ? returnableSteps(steps, 0) : steps, atomic: true };
}

function checkOne(slots: MemorySlots, policy: Policy, key: string, cost: number, now: number): StoreAnswer {
  const state = slots.get(key);
  const step = policy.algorithm.next(state, policy, cost, now);
  if (step.fits) slots.set(key, policy, step, now);
  else if (state !== undefined) slots.shorten(key, policy, now);
  return { steps: [step], atomic: true };
}
