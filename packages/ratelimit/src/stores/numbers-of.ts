const space = 32;
const minus = 45;
const zero = 48;
const nine = 57;

/**
 * The integers that a text is made of, with a space between them; `undefined` if it is made of anything else.
 *
 * Read by hand, because there is one such text for every check, and `split()` takes twice as long.
 */
export function numbersOf(text: string): number[] | undefined {
  const numbers: number[] = [];
  let number = 0;
  let sign = 1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= zero && code <= nine) number = number * 10 + (code - zero);
    else if (code === minus) sign = -1;
    else if (code === space) {
      numbers.push(sign * number);
      number = 0;
      sign = 1;
    } else return undefined;
  }
  numbers.push(sign * number);
  return numbers;
}
