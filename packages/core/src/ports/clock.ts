/** A timer that has been set; opaque. */
export type Timer = { readonly [Symbol.toStringTag]?: string } | number | object;

/**
 * Where the library takes its time from, so that a test can move it.
 *
 * `now()` is milliseconds since the epoch. Timers never keep a process alive by themselves.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `run` once, not before `delayMs` have passed, or 24 days if those are more. */
  setTimeout(run: () => void, delayMs: number): Timer;
  /** Ends a timer that has not run yet; nothing happens for any other. */
  clearTimeout(timer: Timer | undefined): void;
}

/** Longest delay of the platform's timers; a longer one would end at once. */
const longestMs = 0x7fff_ffff;

/** One timer: an engine drops the code it made for timers, of everybody's calls, when it finds none. */
const kept: { timer?: Timer } = {};

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (run, delayMs) => {
    const timer = setTimeout(run, Math.min(delayMs, longestMs)) as Timer & { unref?: () => void };
    timer.unref?.();
    kept.timer = timer;
    return timer;
  },
  clearTimeout: (timer) => clearTimeout(timer as Parameters<typeof clearTimeout>[0]),
};

/**
 * A time that goes by whoever sets the time of day: how long something took is the difference of two. Of a clock that a test
 * brings it is the time of that clock.
 */
export function elapsedMs(clock: Clock): number {
  return clock === systemClock ? performance.now() : clock.now();
}

/**
 * Keeps the process alive for one who waits: timers of a `Clock` do not, and a script that awaits nothing but one of them
 * would end.
 *
 * @returns Ends it; has to be called.
 * @example
 * const rest = stayAwake();
 * try {
 *   await new Promise<void>((resolve) => void systemClock.setTimeout(resolve, 10));
 * } finally {
 *   rest();
 * }
 */
export function stayAwake(): () => void {
  const timer = setInterval(() => {}, longestMs);
  return () => clearInterval(timer);
}
