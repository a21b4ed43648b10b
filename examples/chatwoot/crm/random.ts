/** Numbers in [0, 1) that are the same for the same seed; mulberry32. */
export type Random = () => number;

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One of them by Zipf's law: the first is as likely as the second and third together. */
export function popular<T>(random: Random, among: readonly T[]): T {
  // Of the numbers up to n, the one below n to the power of chance is k as often as 1/k.
  return among[Math.floor((among.length + 1) ** random()) - 1] as T;
}
