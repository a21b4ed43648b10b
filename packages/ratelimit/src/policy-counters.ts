import type { Decision } from './decision.ts';
import type { PolicyMetrics } from './metrics.ts';

type Counters = { -readonly [Counter in keyof PolicyMetrics]: number };

/** Counts what came out of the checks, for each policy. */
export class PolicyCounters {
  readonly #counters = new Map<string, Counters>();

  constructor(names: readonly string[]) {
    for (const name of names) this.#counters.set(name, zero());
  }

  /** A decision about these policies. */
  count(names: readonly string[], { allowed, violated, shadowed }: Decision): void {
    if (allowed) this.#increment('allowed', names);
    if (violated.length > 0) this.#increment('denied', violated);
    if (shadowed.length > 0) this.#increment('shadowed', shadowed);
  }

  /** The denials of these policies were known. */
  hitDenyCache(names: readonly string[]): void {
    this.#increment('denyCacheHits', names);
  }

  /** The store was not there for these policies. */
  fellBack(names: readonly string[], timedOut: boolean): void {
    this.#increment('fallback', names);
    if (timedOut) this.#increment('timeouts', names);
  }

  read(): Record<string, PolicyMetrics> {
    const policies: Record<string, PolicyMetrics> = {};
    for (const [name, counters] of this.#counters) policies[name] = { ...counters };
    return policies;
  }

  reset(): void {
    for (const name of this.#counters.keys()) this.#counters.set(name, zero());
  }

  #increment(counter: keyof Counters, names: readonly string[]): void {
    for (let i = 0; i < names.length; i++) (this.#counters.get(names[i] as string) as Counters)[counter]++;
  }
}

function zero(): Counters {
  return { allowed: 0, denied: 0, shadowed: 0, fallback: 0, timeouts: 0, denyCacheHits: 0 };
}
