import type { Denial } from './algorithms/algorithm.ts';
import type { Policy } from './algorithms/policy.ts';
import type { PolicyAnswer } from './stores/store.ts';

const mostKeys = 50_000;
const longestMs = 5_000;

interface Remembered extends Denial {
  readonly limit: number;
  readonly windowMs: number;
  readonly at: number;
  readonly step: PolicyAnswer;
}

/**
 * Denials that are still true, so that Redis need not be asked: it can only have been given more since.
 *
 * Exact: a cost passes again here no later than it does in Redis, and a smaller cost that may fit is not denied. What
 * was given back, reset or lowered elsewhere is seen after at most 5 s; here at once. That slots are taken is not
 * remembered. It holds at most 50,000 keys and forgets the oldest.
 */
export class DenyCache {
  readonly #denials = new Map<string, Remembered>();

  /** The step of a policy that surely says no; `undefined` if the store has to be asked. */
  find(key: string, policy: Policy, cost: number, now: number): PolicyAnswer | undefined {
    const denial = this.#denials.get(key);
    // That a cost can never pass is for the store to say: it tells how the others stand, too.
    if (denial === undefined || cost > policy.limit) return undefined;
    const ageMs = now - denial.at;
    if (
      ageMs < 0 ||
      ageMs > longestMs ||
      denial.limit !== policy.limit ||
      denial.windowMs !== policy.windowMs
    ) {
      this.#denials.delete(key);
      return undefined;
    }
    const retryAfterMs = policy.algorithm.deniedFor(denial, policy, cost, now);
    if (retryAfterMs <= 0) return undefined;
    const { step } = denial;
    return {
      fits: false,
      expiresAt: step.expiresAt,
      value: step.value,
      remaining: step.remaining,
      retryAfterMs,
      resetMs: Math.max(retryAfterMs, (step.resetMs ?? 0) - ageMs),
      blocked: step.blocked,
    };
  }

  /**
   * @param step - By the server's clock, as it was at the instant 0.
   * @param sentAt - By our clock, not later than that instant: so nothing is denied for too long.
   */
  remember(key: string, policy: Policy, cost: number, step: PolicyAnswer, sentAt: number): void {
    if (!Number.isFinite(step.retryAfterMs)) return;
    // Slots are given back by others all the time.
    if (policy.algorithm.name === 'concurrency' && step.blocked === undefined) return;
    // A key that is remembered again becomes the youngest.
    this.#denials.delete(key);
    if (this.#denials.size >= mostKeys) {
      const oldest = this.#denials.keys().next();
      if (!oldest.done) this.#denials.delete(oldest.value);
    }
    this.#denials.set(key, {
      cost,
      until: sentAt + step.retryAfterMs,
      expiresAt: sentAt + step.expiresAt,
      value: step.value,
      limit: policy.limit,
      windowMs: policy.windowMs,
      at: sentAt,
      step,
    });
  }

  forget(keys: readonly string[]): void {
    for (const key of keys) this.#denials.delete(key);
  }

  clear(): void {
    this.#denials.clear();
  }

  /** Whether nothing is remembered. */
  get empty(): boolean {
    return this.#denials.size === 0;
  }
}
