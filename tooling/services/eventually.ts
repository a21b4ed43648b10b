import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again every 50 ms until the answer is not undefined; an ask that throws counts as undefined.
 *
 * @throws Error that says what was waited for, when `deadlineMs` milliseconds have passed.
 */
export async function eventually<T>(
  what: string,
  deadlineMs: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  let cause: unknown;
  do {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      cause = error;
    }
    await sleep(50);
  } while (performance.now() < deadline);
  throw new Error(`Waited ${deadlineMs} ms in vain: ${what}`, { cause });
}
