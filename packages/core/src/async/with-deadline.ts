import type { Clock } from '../ports/clock.ts';

/**
 * What `work` gives, or a rejection with `late()` if it has not settled within `timeoutMs`; what comes later is dropped.
 *
 * When the time is over, one more turn of the event loop is allowed: after a loop that was blocked for longer than the
 * timeout, an answer that waits in the socket is read before anything is given up.
 *
 * @example
 * const slow = new Promise<string>(() => {});
 * await withDeadline(slow, 20, systemClock, () => new Error('too late')).catch(String); // 'Error: too late'
 */
export function withDeadline<T>(
  work: Promise<T>,
  timeoutMs: number,
  clock: Clock,
  late: () => Error,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let timer = clock.setTimeout(() => {
      timer = clock.setTimeout(() => reject(late()), 1);
    }, timeoutMs);
    work.then(
      (value) => {
        clock.clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clock.clearTimeout(timer);
        reject(error);
      },
    );
  });
}
