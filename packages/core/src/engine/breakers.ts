import type { Clock } from '../ports/clock.ts';
import { Breaker } from './steps/breaker.ts';

/** Parts that fail at the same time; more than this many share one breaker. */
const mostParts = 1_000;

/** A {@link Breaker} for each part of a tier that fails by itself. One that answers costs nothing. */
export class Breakers {
  readonly #clock: Clock;
  readonly #changed: (state: 'open' | 'closed') => void;
  /** Of those parts alone that failed last. */
  readonly #failing = new Map<string, Breaker>();
  #opened = 0;

  /** @param changed - Told when the first one opens and when the last one closes. */
  constructor(clock: Clock, changed: (state: 'open' | 'closed') => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  get open(): boolean {
    return this.#opened > 0;
  }

  /** Whether a call to this part may be made now. Whoever makes it says how it ended. */
  allows(part: string): boolean {
    if (this.#failing.size === 0) return true;
    return this.#of(part)?.allows() ?? true;
  }

  succeeded(part: string): void {
    if (this.#failing.size === 0) return;
    this.#of(part)?.succeeded();
    this.#failing.delete(part);
  }

  failed(part: string): void {
    let breaker = this.#of(part);
    if (breaker === undefined) {
      breaker = new Breaker(this.#clock, (state) => this.#count(state));
      this.#failing.set(this.#failing.size < mostParts ? part : '', breaker);
    }
    breaker.failed();
  }

  #of(part: string): Breaker | undefined {
    return this.#failing.get(part) ?? (this.#failing.size < mostParts ? undefined : this.#failing.get(''));
  }

  #count(state: 'open' | 'closed'): void {
    this.#opened += state === 'open' ? 1 : -1;
    if (this.#opened === (state === 'open' ? 1 : 0)) this.#changed(state);
  }
}
