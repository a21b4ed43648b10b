import type { SourceLag } from '../ports/change-source.ts';
import type { Clock } from '../ports/clock.ts';

/** How far a source has come with its outbox: what it has delivered, how old the rest is, and what holds it up. */
export class DeliveryProgress {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  #delivered = 0;
  #stalledBy: string | undefined;
  /** Age of the oldest undelivered change, and when that was known. */
  #oldest: { readonly ageMs: number; readonly seenAt: number } | undefined;
  #underWaySince: number | undefined;

  /** @param patienceMs - A batch that takes longer holds the source up. */
  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** The oldest change that is not delivered is so old. */
  saw(ageMs: number): void {
    this.#oldest = { ageMs, seenAt: this.#clock.now() };
  }

  began(oldestMs: number): void {
    this.saw(oldestMs);
    this.#underWaySince = this.#clock.now();
  }

  ended(): void {
    this.#underWaySince = undefined;
  }

  delivered(changes: number): void {
    this.#delivered += changes;
    this.caughtUp();
  }

  caughtUp(): void {
    this.#stalledBy = undefined;
    this.#oldest = undefined;
  }

  stalled(by: string): void {
    this.#stalledBy = by;
  }

  lag(): SourceLag {
    const now = this.#clock.now();
    const oldestMs = this.#oldest ? Math.round(this.#oldest.ageMs + (now - this.#oldest.seenAt)) : 0;
    const underWayMs = this.#underWaySince === undefined ? 0 : now - this.#underWaySince;
    const stalledBy =
      underWayMs > this.#patienceMs
        ? `a batch that has been under way for ${underWayMs} ms`
        : this.#stalledBy;
    return { delivered: this.#delivered, oldestMs, ...(stalledBy !== undefined && { stalledBy }) };
  }
}
