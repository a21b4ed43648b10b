import { assertKnownOptions, ConfigurationError, defaultNamespace } from '@cachekit/core';
import type { LimitState, Step } from '../algorithms/algorithm.ts';
import { allFit, stepAll } from '../algorithms/step-all.ts';
import type { Policy } from '../policy.ts';
import type { LimitRequest, LimitStore } from './store.ts';

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
 * at a time. So a flood of new ids does not free an id that is at its limit, unless all are.
 *
 * Time is the limiter's clock. A clock that is set back delays nobody by more than a window.
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
  const slots = new Map<string, Slot>();
  return {
    name: 'memory',
    namespace: defaultNamespace,
    oneSlot: false,
    check({ policies, keys, cost, now }: LimitRequest): readonly Step[] {
      const states: (Slot | undefined)[] = [];
      for (const key of keys) states.push(slots.get(key));
      const steps = stepAll(policies, states, cost, now);
      const taken = allFit(steps);
      for (let i = 0; i < steps.length; i++) {
        const slot = states[i];
        const policy = policies[i] as Policy;
        const { expiresAt, value } = steps[i] as Step;
        if (slot === undefined) {
          if (!taken) continue;
          if (slots.size >= maxKeys) makeRoom(slots, maxKeys, now);
          slots.set(keys[i] as string, { policy, expiresAt, value });
        } else if (taken) {
          slot.expiresAt = expiresAt;
          slot.value = value;
        } else if (slot.expiresAt > now + policy.windowMs) {
          slot.expiresAt = now + policy.windowMs;
        }
      }
      return steps;
    },
  };
}

interface Slot extends LimitState {
  readonly policy: Policy;
  expiresAt: number;
  value: number;
}

// Keys are sorted by the share of their limit that is taken, in classes; the last class is "all of it".
const lastClass = 63;

function makeRoom(slots: Map<string, Slot>, maxKeys: number, now: number): void {
  const room = Math.ceil(maxKeys / 8);
  for (const [key, slot] of slots) if (slot.expiresAt <= now) slots.delete(key);
  let excess = slots.size - (maxKeys - room);
  if (excess <= 0) return;
  const sizes = new Uint32Array(lastClass + 1);
  for (const slot of slots.values()) {
    const share = classOf(slot, now);
    sizes[share] = (sizes[share] as number) + 1;
  }
  let dropped = 0;
  for (
    let sum = sizes[0] as number;
    sum < excess && dropped < lastClass - 1;
    sum += sizes[dropped] as number
  ) {
    dropped++;
  }
  if (slots.size === sizes[lastClass]) dropped = lastClass;
  for (const [key, slot] of slots) {
    if (excess === 0) return;
    if (classOf(slot, now) > dropped) continue;
    slots.delete(key);
    excess--;
  }
}

function classOf(slot: Slot, now: number): number {
  const { remaining } = slot.policy.algorithm.next(slot, slot.policy, 0, now);
  return Math.floor((1 - remaining / slot.policy.limit) * lastClass);
}
