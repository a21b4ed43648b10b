import { ArgumentError, ConfigurationError } from '../errors.ts';

/**
 * What a key in Redis is for; the second part of every key.
 *
 * | kind | holds                                              |
 * | ---- | -------------------------------------------------- |
 * | `c`  | cached entries and tags; the only tracked prefix   |
 * | `l`  | rate limits                                        |
 * | `e`  | the event log of a tenant                          |
 * | `s`  | sessions and pairing codes                         |
 * | `p`  | presence                                           |
 * | `k`  | locks                                              |
 * | `n`  | counters and lists                                 |
 */
export type KeyKind = 'c' | 'l' | 'e' | 's' | 'p' | 'k' | 'n';

/** The first part of every key when nothing else is said. */
export const defaultNamespace = 'ck';

/** Longest tenant id, in characters as given. */
export const maxTenantLength = 128;

/**
 * The literal prefix of all keys of one tenant and kind: `<namespace>:<kind>:tenant:{<id>}:`.
 *
 * The braces are the hash tag of Redis Cluster: one tenant is one slot. The id is percent-encoded, so that no id can
 * contain a separator, a brace or a glob and none can reach a key of another tenant.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if the id is empty, no string, not well-formed, or longer than
 * {@link maxTenantLength}.
 * @example
 * tenantPrefix('ck', 'c', 'acme:eu'); // 'ck:c:tenant:{acme%3Aeu}:'
 */
export function tenantPrefix(namespace: string, kind: KeyKind, tenant: string): string {
  return `${namespace}:${kind}:tenant:{${escapeTenant(tenant)}}:`;
}

/** The literal prefix of all keys of one kind that belong to no tenant: `<namespace>:<kind>:global:`. */
export function globalPrefix(namespace: string, kind: KeyKind): string {
  return `${namespace}:${kind}:global:`;
}

/** The id as it stands in keys: letters, digits, `-`, `_`, `.` and `~` as they are, all else percent-encoded. */
export function escapeTenant(tenant: string): string {
  if (typeof tenant !== 'string' || tenant === '') {
    throw new ArgumentError(`A tenant id is a string that is not empty; got ${describe(tenant)}`);
  }
  if (tenant.length > maxTenantLength) {
    throw new ArgumentError(`A tenant id has at most ${maxTenantLength} characters; got ${tenant.length}`);
  }
  return escapePart(tenant);
}

/** One part of a key, percent-encoded so that it contains no separator, brace, glob or control character. */
export function escapePart(part: string): string {
  if (!part.isWellFormed()) throw new ArgumentError('A key part is well-formed text; got a lone surrogate');
  return encodeURIComponent(part).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * Refuses what is no tag of the namespace. The key of an entry is none: it would be overwritten, and nothing be invalidated.
 *
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function assertTag(namespace: string, tag: { readonly wire: string }): void {
  const wire: unknown = tag?.wire;
  // No part of a key but the name of a tag begins like this.
  if (typeof wire === 'string' && wire.startsWith(`${namespace}:c:`) && wire.includes('#')) return;
  throw new ArgumentError(`Not a tag of the namespace "${namespace}": ${describe(wire ?? tag)}`);
}

/** Refuses a namespace that would break the shape of a key. */
export function assertNamespace(namespace: string): void {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(namespace)) {
    throw new ConfigurationError(
      `namespace: ${describe(namespace)} is none; give 1 to 32 letters, digits, "-" or "_"`,
    );
  }
}

/** A value as an error shows it. */
export function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
