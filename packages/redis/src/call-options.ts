import { ArgumentError, assertKnownOptions } from '@cachekit/core';

/**
 * Refuses options of a call that nobody reads, which are nearly always misspelt ones, and what is no object of options.
 *
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function assertCallOptions(call: string, options: object, known: readonly string[]): void {
  try {
    assertKnownOptions(call, options, known);
  } catch (error) {
    throw new ArgumentError((error as Error).message);
  }
}
