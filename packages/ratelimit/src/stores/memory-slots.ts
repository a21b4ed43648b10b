import type { LimitState } from '../algorithms/algorithm.ts';
import type { Policy } from '../algorithms/policy.ts';

/** What is kept of one key. Every slot has the same shape, so that reading one is fast. */
interface Slot extends LimitState {
  policy: Policy;
  expiresAt: number;
  value: number;
  log: LimitState['log'];
  block: LimitState['block'];
}

// Keys are sorted by the share of their limit that is taken, in classes; the last class is "all of it".
const lastClass = 63;

/** States by key, at most so many: what has run out is forgotten first, then what is furthest from its limit. */
export class MemorySlots {
  readonly #slots = new Map<string, Slot>();
  readonly #maxKeys: number;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  get(key: string): LimitState | undefined {
    return this.#slots.get(key);
  }

  delete(key: string): void {
    this.#slots.delete(key);
  }

  set(key: string, policy: Policy, state: LimitState, now: number): void {
    const { expiresAt, value, log, block } = state;
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      slot.policy = policy;
      slot.expiresAt = expiresAt;
      slot.value = value;
      slot.log = log;
      slot.block = block;
      return;
    }
    if (this.#slots.size >= this.#maxKeys) this.#makeRoom(now);
    this.#slots.set(key, { policy, expiresAt, value, log, block });
  }

  /** Ends a state no later than a window from now: the clock was set back, or the window made shorter. */
  shorten(key: string, policy: Policy, now: number): void {
    const slot = this.#slots.get(key);
    if (slot === undefined || slot.block !== undefined) return;
    const end = policy.calendar === undefined ? now + policy.windowMs : policy.calendar.endAfter(now);
    if (slot.expiresAt > end) slot.expiresAt = end;
  }

  /** An eighth at a time, so that looking at every slot is paid for by many new keys. */
  #makeRoom(now: number): void {
    const slots = this.#slots;
    const room = Math.ceil(this.#maxKeys / 8);
    for (const [key, slot] of slots) if (hasRunOut(slot, now)) slots.delete(key);
    let excess = slots.size - (this.#maxKeys - room);
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
}

function hasRunOut(slot: Slot, now: number): boolean {
  return slot.expiresAt <= now && (slot.block === undefined || slot.block.until <= now);
}

function classOf(slot: Slot, now: number): number {
  const { remaining = 0 } = slot.policy.algorithm.next(slot, slot.policy, 0, now, true);
  return Math.floor((1 - remaining / slot.policy.limit) * lastClass);
}
