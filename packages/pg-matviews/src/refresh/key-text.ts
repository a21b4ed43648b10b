import { ArgumentError } from '@cachekit/core';

/**
 * A value of a key column as PostgreSQL reads it: text for text, and what drivers give for arrays, JSON, bytes and intervals. A
 * `Date` is left out, because what a driver means by it depends on the type.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for what is in no group.
 */
export function keyText(value: unknown, type: string, what: string): string {
  if (value === null || value === undefined) {
    throw new ArgumentError(`${what} is ${value === null ? 'null' : 'undefined'}; no group has that`);
  }
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object') return String(value);
  if (/^jsonb?\b/.test(type)) return JSON.stringify(value);
  if (value instanceof Uint8Array)
    return `\\x${[...value].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => (item === null ? 'NULL' : itemText(item, type, what)));
    return `{${items.join(',')}}`;
  }
  const { toPostgres } = value as { toPostgres?: unknown };
  return typeof toPostgres === 'function' ? String(toPostgres.call(value, String)) : JSON.stringify(value);
}

function itemText(item: unknown, type: string, what: string): string {
  const text = keyText(item, type.replace('[]', ''), what);
  return Array.isArray(item) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
