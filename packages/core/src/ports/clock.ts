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
  /** Calls `run` once, not before `delayMs` have passed. */
  setTimeout(run: () => void, delayMs: number): Timer;
  /** Ends a timer that has not run yet; nothing happens for any other. */
  clearTimeout(timer: Timer | undefined): void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (run, delayMs) => {
    const timer = setTimeout(run, delayMs) as Timer & { unref?: () => void };
    timer.unref?.();
    return timer;
  },
  clearTimeout: (timer) => clearTimeout(timer as Parameters<typeof clearTimeout>[0]),
};
