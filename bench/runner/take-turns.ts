import { shuffle } from './shuffle.ts';

/**
 * Runs each of the ways once per round, in another order each time, and gives what each returned by its name.
 *
 * For what says itself what it measured, such as a latency; what is timed from outside is measured by `measure()`.
 */
export async function takeTurns<T>(
  ways: Readonly<Record<string, () => Promise<T>>>,
  options: { readonly rounds?: number; readonly random?: () => number } = {},
): Promise<ReadonlyMap<string, readonly T[]>> {
  const { rounds = 15, random = Math.random } = options;
  const results = new Map<string, T[]>(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of shuffle(Object.entries(ways), random)) {
      globalThis.gc?.();
      (results.get(name) as T[]).push(await way());
    }
  }
  return results;
}
