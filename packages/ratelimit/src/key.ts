import { ArgumentError, escapePart, escapeTenant, stableHash, tenantPrefix } from '@cachekit/core';

/**
 * Whom a policy counts: the parts of an id, such as `[userId]` or `[userId, route]`.
 *
 * A number is its decimal text. Each part is escaped, so `['a', 'b:c']` and `['a:b', 'c']` are different.
 */
export type KeyParts = readonly (string | number)[];

/** No key is longer, in bytes. */
const maxKeyBytes = 200;

const maxTail = 96;
const maxTenant = 64;
const plain = /^[\w.~-]+$/;

/**
 * The beginning of the keys of a tenant; its id is the hash tag. One that is long when escaped becomes `#` and a hash of
 * 128 bits; no escaped id can begin with `#`.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for a tenant id that is none.
 */
export function limitPrefix(namespace: string, tenant: string): string {
  const escaped = escapeTenant(tenant);
  if (escaped.length <= maxTenant) return tenantPrefix(namespace, 'l', tenant);
  return `${namespace}:l:tenant:{#${stableHash(tenant)}}:`;
}

/**
 * The end of a key: what is counted, in a form that has no separator but its own.
 *
 * Parts that are long together become `#` and a hash of 128 bits; no escaped part can begin with `#`.
 *
 * @param used - Bytes of the key before it.
 * @throws ArgumentError `INVALID_ARGUMENT` if a part is empty, no text or whole number, or not well-formed.
 */
export function keyTail(policy: string, parts: KeyParts, used = 0): string {
  let tail = '';
  for (const part of parts) tail += `:${partOf(policy, part)}`;
  return tail.length > maxTail || used + tail.length > maxKeyBytes ? `:#${stableHash(tail)}` : tail;
}

function partOf(policy: string, part: unknown): string {
  if (typeof part === 'string' && part !== '') return plain.test(part) ? part : escapePart(part);
  if (typeof part === 'number' && Number.isSafeInteger(part)) return String(part);
  throw new ArgumentError(
    `${policy}: a part of an id is text that is not empty or a whole number; got ${part === '' ? '""' : String(part)}`,
  );
}
