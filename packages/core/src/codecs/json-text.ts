import { jsonCodec } from './json.ts';

const texts = new WeakMap<object, string>();

/**
 * The JSON of a value. For a frozen one, as memory holds them, it is made once and lives as long as the value.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for a value that has no JSON.
 */
export function jsonText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return jsonCodec.encode(value);
  const before = texts.get(value);
  if (before !== undefined) return before;
  const text = jsonCodec.encode(value);
  keepJsonText(value, text);
  return text;
}

/** Remembers the JSON of a value that was made of it. */
export function keepJsonText(value: unknown, text: string): void {
  if (typeof value === 'object' && value !== null && Object.isFrozen(value)) texts.set(value, text);
}
