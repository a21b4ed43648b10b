import { ArgumentError } from '../errors.ts';
import type { Codec } from '../ports/codec.ts';

/**
 * JSON, as `JSON.stringify` writes it: dates come back as text, and what JSON leaves out stays out.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` from `encode` for a value that has no JSON, such as a function.
 */
export const jsonCodec: Codec = {
  id: 'J',
  encode: (value) => {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) throw new ArgumentError(`A ${typeof value} has no JSON`);
    return text;
  },
  decode: (text) => JSON.parse(text) as unknown,
};
