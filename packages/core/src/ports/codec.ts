/**
 * Turns values into text and back.
 *
 * Writers of a codec promise: `decode(encode(value))` equals `value` as JSON sees it; `decode` throws on text that
 * `encode` did not write.
 */
export interface Codec {
  /** One ASCII letter kept with each entry, so that an entry of another codec is a miss and never misread. */
  readonly id: string;
  /** The text of a value. Throws for a value it cannot write. */
  encode(value: unknown): string;
  /** The value of a text. Throws for a text that `encode` did not write. */
  decode(text: string): unknown;
}
