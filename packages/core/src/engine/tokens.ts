import { newToken, tokenAlphabet, tokenLength } from '../entry.ts';

const endings: readonly string[] = [...tokenAlphabet].flatMap((first) =>
  [...tokenAlphabet].map((second) => first + second),
);

/** Versions and tokens, one after the other: a random beginning, and an ending that counts. Most are made without a draw. */
export class Tokens {
  readonly #random: () => number;
  #beginning = '';
  #next = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  next(): string {
    if (this.#next === 0) this.#beginning = newToken(this.#random).slice(0, tokenLength - 2);
    const ending = endings[this.#next] as string;
    this.#next = (this.#next + 1) % endings.length;
    return this.#beginning + ending;
  }
}
