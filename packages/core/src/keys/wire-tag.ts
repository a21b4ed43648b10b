import { ArgumentError } from '../errors.ts';
import { describe, escapePart, globalPrefix, tenantPrefix } from './wire-key.ts';

/** Longest key on the wire, in bytes. */
export const maxKeyLength = 1_024;

/** The tag that every entry of a namespace carries. No name that a user gives is written like it. */
export function namespaceTag(namespace: string): string {
  return everythingUnder(globalPrefix(namespace, 'c'));
}

/**
 * The tag that every entry of a tenant carries. No name that a user gives is written like it.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for what is no tenant id.
 */
export function tenantTag(namespace: string, tenant: string): string {
  return everythingUnder(tenantPrefix(namespace, 'c', tenant));
}

/** The tag that all carry whose keys begin with `prefix`. */
export function everythingUnder(prefix: string): string {
  // "*" is escaped in names of tags.
  return `${prefix}#*`;
}

/** The tag `name` of those whose keys begin with `prefix`. @throws ArgumentError `INVALID_ARGUMENT` */
export function tagUnder(prefix: string, name: string): string {
  if (typeof name !== 'string' || name === '') {
    throw new ArgumentError(`A tag is a name that is not empty; got ${describe(name)}`);
  }
  // "#" is escaped in names of resources, so no tag is ever the key of an entry, which assertTag() relies on.
  const wire = `${prefix}#${escapePart(name)}`;
  assertLength(wire);
  return wire;
}

/** @throws ArgumentError `INVALID_ARGUMENT` for a key that is too long. */
export function assertLength(wire: string): void {
  if (wire.length > maxKeyLength) {
    throw new ArgumentError(
      `A key has at most ${maxKeyLength} bytes; got ${wire.length}: ${wire.slice(0, 80)}...`,
    );
  }
}
