import type { Clock } from '@cachekit/core';
import type { Policy } from './algorithms/policy.ts';
import { type Decision, decide, decideBlindly } from './decision.ts';
import { DenyCache } from './deny-cache.ts';
import { type RateLimitStoreError, storeError } from './errors.ts';
import { LimiterListeners } from './limiter-events.ts';
import { LocalShare } from './local-share.ts';
import type { RateLimitMetrics } from './metrics.ts';
import type { OnUnavailable } from './on-unavailable.ts';
import { PolicyCounters } from './policy-counters.ts';
import type { Target } from './request.ts';
import { memoryStore } from './stores/memory.ts';
import type { LimitRequest, LimitSession, LimitStore, PolicyAnswer, StoreAnswer } from './stores/store.ts';

/** A decision, and what gives back what it took. */
export interface Taken {
  readonly decision: Decision;
  /** Where it was taken; `undefined` if nothing was. */
  readonly session: LimitSession | undefined;
  readonly request: LimitRequest;
  /** What was asked for; the request takes less where the share of this process is less. */
  readonly cost: number;
  readonly at: readonly (number | undefined)[] | undefined;
}

/** What a limiter is made of, besides its verbs. */
export interface ChecksOptions {
  readonly policies: Readonly<Record<string, Policy>>;
  readonly store: LimitStore;
  readonly timeoutMs: number;
  readonly onUnavailable: OnUnavailable;
  readonly instances: number;
  readonly clock: Clock;
  /** Called when something was given back to these keys, or may have been. */
  readonly onGiven: (keys: readonly string[]) => void;
}

/**
 * The one place that knows the order of a check: the deny cache, the store, and what replaces it when it is
 * unavailable; and that counts what came out.
 */
export class Checks {
  readonly listeners: LimiterListeners = new LimiterListeners();
  readonly #clock: Clock;
  readonly #store: LimitStore;
  readonly #session: LimitSession;
  readonly #local: LimitSession | undefined;
  readonly #share: LocalShare;
  readonly #onUnavailable: OnUnavailable;
  readonly #onGiven: (keys: readonly string[]) => void;
  /** Only where asking the store takes a round trip. */
  readonly #denials: DenyCache | undefined;
  readonly #counters: PolicyCounters;
  #available = true;
  /** The last one: an engine drops the code it made for objects of which it finds none. */
  readonly #kept: { decision?: Decision } = {};

  constructor({ policies, store, timeoutMs, onUnavailable, instances, clock, onGiven }: ChecksOptions) {
    this.#clock = clock;
    this.#onGiven = onGiven;
    this.#store = store;
    this.#onUnavailable = onUnavailable;
    this.#share = new LocalShare(instances);
    this.#denials = store.name === 'memory' ? undefined : new DenyCache();
    const context = { clock, timeoutMs, onAvailable: (available: boolean) => this.#changed(available) };
    this.#session = store.open(context);
    this.#local = onUnavailable === 'local' ? memoryStore().open(context) : undefined;
    this.#counters = new PolicyCounters(Object.keys(policies));
  }

  take(names: readonly string[], { policies, keys }: Target, cost: number): Decision | Promise<Decision> {
    const now = this.#clock.now();
    const denials = this.#denials;
    if (denials !== undefined && !denials.empty) {
      const known = this.#knownDenial(denials, names, policies, keys, cost, now);
      if (known !== undefined) return known;
    }
    const request: LimitRequest = { mode: 'take', policies, keys, cost, now };
    const failed = (error: unknown): Decision => this.#withoutStore(names, request, error).decision;
    let answer: StoreAnswer | Promise<StoreAnswer>;
    try {
      answer = this.#session.check(request);
    } catch (error) {
      return failed(error);
    }
    if (!(answer instanceof Promise)) return this.#decided(names, request, answer);
    return answer.then((settled) => this.#decided(names, request, settled), failed);
  }

  /** As {@link take}, for what is given back or corrected later; a known denial is as good as a new one. */
  async reserve(names: readonly string[], { policies, keys }: Target, cost: number): Promise<Taken> {
    const now = this.#clock.now();
    const request: LimitRequest = { mode: 'take', policies, keys, cost, now, returnable: true };
    const known = this.#denials && this.#knownDenial(this.#denials, names, policies, keys, cost, now);
    if (known !== undefined) return { decision: known, session: undefined, request, cost, at: undefined };
    try {
      const answer = await this.#session.check(request);
      const decision = this.#decided(names, request, answer);
      const session = decision.allowed ? this.#session : undefined;
      return { decision, session, request, cost, at: answer.steps.map(({ at }) => at) };
    } catch (error) {
      return this.#withoutStore(names, request, error);
    }
  }

  /** What {@link take} would say. Nothing is taken or counted. */
  async peek(names: readonly string[], { policies, keys }: Target, cost: number): Promise<Decision> {
    const request: LimitRequest = { mode: 'peek', policies, keys, cost, now: this.#clock.now() };
    try {
      const { steps, atomic } = await this.#session.check(request);
      return decide(names, policies, steps, cost, this.#store.name, atomic);
    } catch (error) {
      const failure = storeError(this.#store.name, error);
      if (this.#local !== undefined) {
        const share = this.#share.of(request);
        const { steps, atomic } = this.#local.check(share) as StoreAnswer;
        return decide(names, share.policies, steps, share.cost, 'local', atomic, failure);
      }
      return this.#blindly(names, policies, failure);
    }
  }

  /**
   * Gives back or takes without asking, where it was taken or, if that is not said, in the store and in this process.
   *
   * @throws RateLimitStoreError if the store did not do it.
   */
  async settle(
    mode: 'give' | 'force',
    target: Target,
    cost: number,
    session?: LimitSession,
    at?: readonly (number | undefined)[],
  ): Promise<void> {
    const { policies, keys } = target;
    const request = { mode, policies, keys, cost, now: this.#clock.now(), at };
    if (mode === 'give') this.#denials?.forget(keys);
    if (session === undefined && mode === 'give') void this.#local?.check(this.#share.of(request));
    try {
      await (session ?? this.#session).check(request);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      // What was read while this was under way may be remembered already.
      if (mode === 'give') this.#given(keys);
    }
  }

  async block({ policies, keys }: Target, durationMs: number, reason: string): Promise<void> {
    const request = { policies, keys, durationMs, reason, now: this.#clock.now() };
    this.#denials?.forget(keys);
    void this.#local?.block(request);
    try {
      await this.#session.block(request);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#denials?.forget(keys);
    }
  }

  async reset({ keys }: Target): Promise<void> {
    this.#denials?.forget(keys);
    void this.#local?.reset(keys);
    try {
      await this.#session.reset(keys);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#given(keys);
    }
  }

  #given(keys: readonly string[]): void {
    this.#denials?.forget(keys);
    this.#onGiven(keys);
  }

  /** A decision that your `allow` or `deny` made. */
  predicted(source: 'allow' | 'deny', names: readonly string[], { policies }: Target): Decision {
    const decision = decideBlindly(names, policies, source);
    this.#counters.count(names, decision);
    return decision;
  }

  metrics(): RateLimitMetrics {
    return { policies: this.#counters.read(), available: this.#available };
  }

  resetMetrics(): void {
    this.#counters.reset();
  }

  #decided(names: readonly string[], request: LimitRequest, { steps, atomic }: StoreAnswer): Decision {
    const { policies, keys, cost, now } = request;
    const decision = decide(names, policies, steps, cost, this.#store.name, atomic);
    if (!decision.allowed && this.#denials !== undefined) {
      for (let i = 0; i < steps.length; i++) {
        const step = steps[i] as PolicyAnswer;
        const policy = policies[i] as Policy;
        if (!step.fits && !policy.shadow) this.#denials.remember(keys[i] as string, policy, cost, step, now);
      }
    }
    this.#counters.count(names, decision);
    this.#tell(decision, keys);
    this.#kept.decision = decision;
    return decision;
  }

  #knownDenial(
    denials: DenyCache,
    names: readonly string[],
    policies: readonly Policy[],
    keys: readonly string[],
    cost: number,
    now: number,
  ): Decision | undefined {
    let denied = false;
    const steps: PolicyAnswer[] = [];
    for (let i = 0; i < keys.length; i++) {
      const policy = policies[i] as Policy;
      const step = policy.shadow ? undefined : denials.find(keys[i] as string, policy, cost, now);
      if (step !== undefined) denied = true;
      steps.push(step ?? unknown);
    }
    if (!denied) return undefined;
    const decision = decide(names, policies, steps, cost, 'deny-cache', true);
    this.#counters.hitDenyCache(decision.violated);
    this.#counters.count(names, decision);
    this.#tell(decision, keys);
    return decision;
  }

  #withoutStore(names: readonly string[], request: LimitRequest, error: unknown): Taken {
    const { cost } = request;
    const failure = this.#failed(error);
    this.#counters.fellBack(names, failure.timedOut);
    if (this.#local === undefined) {
      const decision = this.#blindly(names, request.policies, failure);
      this.#counters.count(names, decision);
      return { decision, session: undefined, request, cost, at: undefined };
    }
    const share = this.#share.of({ ...request, now: this.#clock.now() });
    // The memory store answers at once.
    const { steps, atomic } = this.#local.check(share) as StoreAnswer;
    const decision = decide(names, share.policies, steps, share.cost, 'local', atomic, failure);
    this.#counters.count(names, decision);
    this.#tell(decision, request.keys);
    const session = decision.allowed ? this.#local : undefined;
    return { decision, session, request: share, cost, at: steps.map(({ at }) => at) };
  }

  #blindly(names: readonly string[], policies: readonly Policy[], failure: RateLimitStoreError): Decision {
    if (this.#onUnavailable === 'throw' || this.#onUnavailable === 'local') throw failure;
    return decideBlindly(names, policies, this.#onUnavailable, failure);
  }

  #tell(decision: Decision, keys: readonly string[]): void {
    if (decision.allowed && decision.shadowed.length === 0) return;
    if (this.listeners.has('denied')) this.listeners.emit('denied', { decision, keys });
  }

  #failed(error: unknown): RateLimitStoreError {
    const failure = storeError(this.#store.name, error);
    if (this.listeners.has('failed')) this.listeners.emit('failed', { error: failure });
    return failure;
  }

  #changed(available: boolean): void {
    this.#available = available;
    // It may have lost its data.
    if (available) this.#denials?.clear();
    this.listeners.emit(available ? 'available' : 'unavailable', {});
  }
}

const unknown: PolicyAnswer = {
  fits: true,
  expiresAt: 0,
  value: 0,
  remaining: undefined,
  retryAfterMs: 0,
  resetMs: undefined,
};
