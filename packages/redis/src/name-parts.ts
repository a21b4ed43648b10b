import { ArgumentError, escapePart } from '@cachekit/core';
import { shown } from './shown.ts';

/** What a counter or list is called within its tenant: one part or several, such as `['chat-7', 'search']`. */
export type Name = string | readonly string[];

/** Longest name, in characters as given. */
const maxNameLength = 512;

/**
 * A name as it stands in a key. No two names are the same there, whatever their parts hold.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if it has no part, a part that is empty or no text, or is too long.
 */
export function nameKey(name: Name): string {
  const parts = typeof name === 'string' ? [name] : name;
  const isName =
    Array.isArray(parts) &&
    parts.length > 0 &&
    parts.every((part) => typeof part === 'string' && part !== '') &&
    parts.reduce((length, part) => length + part.length, 0) <= maxNameLength;
  if (!isName) {
    throw new ArgumentError(
      `A name is text that is not empty, or several, of at most ${maxNameLength} characters; got ${shown(name)}`,
    );
  }
  return parts.map(escapePart).join(':');
}
