import { ArgumentError } from '../errors.ts';
import type { Codec } from '../ports/codec.ts';

/**
 * The text of a value.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if the codec gives none, such as one that answers in a promise; whatever the
 * codec throws.
 */
export function encoded(codec: Codec, value: unknown): string {
  const text: unknown = codec.encode(value);
  if (typeof text === 'string') return text;
  throw new ArgumentError(`The codec "${codec.id}" gives ${typeof text} and no text`);
}
