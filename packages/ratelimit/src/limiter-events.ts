import type { Decision } from './decision.ts';
import type { RateLimitStoreError } from './errors.ts';

/** What a limiter tells, by name. */
export interface RateLimiterEvents {
  /** A request was denied, or would have been by a shadow policy. */
  denied: { readonly decision: Decision; readonly keys: readonly string[] };
  /** The store failed a call. */
  failed: { readonly error: RateLimitStoreError };
  /** The store is not asked any more until it answers again. */
  unavailable: Record<never, never>;
  /** The store answers again. */
  available: Record<never, never>;
}

/** Called with what happened. An error it throws is dropped. */
export type RateLimiterListener<Name extends keyof RateLimiterEvents> = (
  event: RateLimiterEvents[Name],
) => void;

type AnyListener = (event: RateLimiterEvents[keyof RateLimiterEvents]) => void;

/** Who wants to hear what. Nothing is paid for an event that nobody listens to. */
export class LimiterListeners {
  readonly #listeners = new Map<keyof RateLimiterEvents, Set<AnyListener>>();

  on<Name extends keyof RateLimiterEvents>(name: Name, listener: RateLimiterListener<Name>): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    listeners.add(listener as AnyListener);
    this.#listeners.set(name, listeners);
  }

  off<Name extends keyof RateLimiterEvents>(name: Name, listener: RateLimiterListener<Name>): void {
    const listeners = this.#listeners.get(name);
    listeners?.delete(listener as AnyListener);
    if (listeners?.size === 0) this.#listeners.delete(name);
  }

  has(name: keyof RateLimiterEvents): boolean {
    return this.#listeners.has(name);
  }

  emit<Name extends keyof RateLimiterEvents>(name: Name, event: RateLimiterEvents[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch {
        // A listener that fails must not change what a request is told.
      }
    }
  }
}
