const firstMs = 50;
const mostMs = 1_000;

/**
 * How long to wait before a connection is tried again: 50 ms, doubled each time up to 1 s, of which the second half is
 * random, so that the processes of an application do not come back in step.
 *
 * @param attempt - 1 for the first try after a loss.
 */
export function reconnectDelayMs(attempt: number, random: () => number): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(attempt - 1, 10));
  return Math.round(whole * (0.5 + random() / 2));
}
