import { ArgumentError } from '../errors.ts';
import type { Codec } from '../ports/codec.ts';

/**
 * JSON, as `JSON.stringify` writes it: dates come back as text, and what JSON leaves out stays out.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` from `encode` for a value that has no JSON, such as a function or a circle.
 */
export const jsonCodec: Codec = {
  id: 'J',
  encode: (value) => {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      throw new ArgumentError(`A value has no JSON: ${String(error)}`);
    }
    if (text === undefined) throw new ArgumentError(`A ${typeof value} has no JSON`);
    return text;
  },
  decode: (text) => JSON.parse(text) as unknown,
};
