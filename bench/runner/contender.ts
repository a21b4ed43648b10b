/** One way of doing the work that is compared. */
export interface Contender {
  readonly name: string;
  /** Does the work `operations` times. What it returns is dropped; what it rejects with ends the run. */
  run(operations: number): Promise<unknown> | unknown;
}

/**
 * Repeats `once` so that `atOnce` of them are under way at any time.
 *
 * @param once - Gets the number of the operation, from 0.
 */
export function concurrently(
  atOnce: number,
  once: (index: number) => Promise<unknown>,
): (operations: number) => Promise<void> {
  return async (operations) => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < operations) await once(next++);
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, operations) }, lane));
  };
}
