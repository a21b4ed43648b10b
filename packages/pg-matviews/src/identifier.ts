import { ConfigurationError } from '@cachekit/core';

/** Longest identifier that PostgreSQL keeps whole, in bytes. */
const maxBytes = 63;

/**
 * Refuses what PostgreSQL would cut, fold or reject as a name.
 *
 * Names are taken literally: `Total` is quoted and keeps its capital.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION`
 */
export function assertIdentifier(value: unknown, what: string): asserts value is string {
  if (typeof value !== 'string' || value === '') {
    throw new ConfigurationError(`${what}: ${JSON.stringify(value) ?? String(value)} is no name`);
  }
  if (value.includes('\0') || !value.isWellFormed()) {
    throw new ConfigurationError(`${what}: ${JSON.stringify(value)} holds a character that no name can hold`);
  }
  if (byteLength(value) > maxBytes) {
    throw new ConfigurationError(`${what}: "${value}" is longer than ${maxBytes} bytes`);
  }
}

/** `name` if it fits, else its beginning and a digest of the whole, so that different names stay different. */
export function fittingIdentifier(name: string): string {
  if (byteLength(name) <= maxBytes) return name;
  const digest = fnv1a(name);
  let head = name;
  while (byteLength(head) > maxBytes - digest.length - 1) head = head.slice(0, -1);
  return `${head}_${digest}`;
}

/** FNV-1a over UTF-16 code units, 8 hexadecimal digits: names apart, not secrets. */
export function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
