import { ArgumentError, escapePart, stableHash } from '@cachekit/core';

/**
 * Whom a policy counts: the parts of an id, such as `[userId]` or `[userId, route]`.
 *
 * A number is its decimal text. Each part is escaped, so `['a', 'b:c']` and `['a:b', 'c']` are different.
 */
export type KeyParts = readonly (string | number)[];

const maxTail = 96;
const plain = /^[\w.~-]+$/;

/**
 * The end of a key: what is counted, in a form that has no separator but its own.
 *
 * Parts that are long together become `#` and a hash of 128 bits; no escaped part can begin with `#`.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if a part is empty, no text or whole number, or not well-formed.
 */
export function keyTail(policy: string, parts: KeyParts): string {
  let tail = '';
  for (const part of parts) tail += `:${partOf(policy, part)}`;
  return tail.length > maxTail ? `:#${stableHash(tail)}` : tail;
}

function partOf(policy: string, part: unknown): string {
  if (typeof part === 'string' && part !== '') return plain.test(part) ? part : escapePart(part);
  if (typeof part === 'number' && Number.isSafeInteger(part)) return String(part);
  throw new ArgumentError(
    `${policy}: a part of an id is text that is not empty or a whole number; got ${part === '' ? '""' : String(part)}`,
  );
}
