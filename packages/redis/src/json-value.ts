import { ArgumentError } from '@cachekit/core';

/**
 * A value as it is stored.
 *
 * @param what - What the value is, for the error.
 * @throws ArgumentError `INVALID_ARGUMENT` if JSON cannot hold it.
 */
export function toJson(value: unknown, what: string): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new ArgumentError(`${what}: ${error instanceof Error ? error.message : 'not JSON'}`);
  }
  if (text === undefined) throw new ArgumentError(`${what}: JSON cannot hold ${String(value)}`);
  return text;
}

/** What is stored, or `undefined` if it is no JSON. */
export function fromJson(text: unknown): unknown {
  if (typeof text !== 'string') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
