import { type Clock, elapsedMs } from '../../ports/clock.ts';
import type { TierClock } from '../../ports/remote-tier.ts';

/** How long a loader is left alone after its first failure while an old value is served; twice as long each time. */
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** Failures that are remembered; the oldest make room. */
const mostFailures = 1_000;

interface Failure {
  readonly error: unknown;
  readonly count: number;
  /** Until then an old value is served without asking the loader. */
  readonly pausedUntil: number;
  /** Until then the error is given without asking the loader. */
  readonly keptUntil: number;
  /** When the load began, by the tier's clock. */
  readonly clock: TierClock;
}

/** The loads that failed last, so that what is down is not asked by every read. */
export class Failures {
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failure>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  remember(wire: string, error: unknown, errorTtlMs: number, clock: TierClock): void {
    const count = (this.#failures.get(wire)?.count ?? 0) + 1;
    const now = elapsedMs(this.#clock);
    const pauseMs = Math.min(firstPauseMs * 2 ** (count - 1), longestPauseMs);
    this.#failures.delete(wire);
    if (this.#failures.size >= mostFailures) {
      for (const oldest of this.#failures.keys()) {
        this.#failures.delete(oldest);
        break;
      }
    }
    const pausedUntil = now + pauseMs;
    this.#failures.set(wire, { error, count, pausedUntil, keptUntil: now + errorTtlMs, clock });
  }

  /** The next load begins as if none had failed. */
  forget(wire: string): void {
    if (this.#failures.size > 0) this.#failures.delete(wire);
  }

  forgetAll(): void {
    this.#failures.clear();
  }

  forgetPrefix(prefix: string): void {
    for (const wire of this.#failures.keys()) if (wire.startsWith(prefix)) this.#failures.delete(wire);
  }

  /** Whether an old value is served without asking the loader. */
  paused(wire: string): boolean {
    const failure = this.#failures.get(wire);
    return failure !== undefined && elapsedMs(this.#clock) < failure.pausedUntil;
  }

  /** The error that is given without asking the loader, if its load began at `minClock` or later. */
  kept(wire: string, minClock: TierClock): { readonly error: unknown } | undefined {
    const failure = this.#failures.get(wire);
    if (failure === undefined || failure.clock < minClock) return undefined;
    return elapsedMs(this.#clock) < failure.keptUntil ? failure : undefined;
  }
}
