import { ArgumentError, globalPrefix, tenantPrefix } from '@cachekit/core';
import { presenceKey } from '../keys.ts';
import { shown } from '../shown.ts';

/** Longest name of a member or of a device, in characters. */
const maxNameLength = 256;
/** Between the name of a member and that of its device. */
const separator = '\0';

/** The keys of a tenant in the order in which its scripts take them: who is online, and what is known of them. */
export function presenceKeys(namespace: string, tenant: string): readonly [online: string, facts: string] {
  return [presenceKey(namespace, tenant), `${tenantPrefix(namespace, 'p', tenant)}facts`];
}

/** The channel on which the changes of a tenant are told. */
export function presenceChannel(namespace: string, tenant: string): string {
  return `${tenantPrefix(namespace, 'p', tenant)}changes`;
}

/** The sorted set of tenants by the time at which somebody should look whether a member has dropped out. */
export function dueKey(namespace: string): string {
  return `${globalPrefix(namespace, 'p')}due`;
}

/** The sorted set of the processes that hold members, by the time at which each must be taken for dead. */
export function serversKey(namespace: string): string {
  return `${globalPrefix(namespace, 'p')}servers`;
}

/** The set of the tenants of whom a process holds members. */
export function heldKey(namespace: string, server: string): string {
  return `${globalPrefix(namespace, 'p')}held:${server}`;
}

/** One entry of who is online: a member, or one of its devices. */
export function entryOf(member: string, device?: string): string {
  assertName('member', member);
  if (device === undefined) return member;
  assertName('device', device);
  return member + separator + device;
}

/** The names in an entry. */
export function namesOf(entry: string): { readonly member: string; readonly device?: string } {
  const at = entry.indexOf(separator);
  return at === -1 ? { member: entry } : { member: entry.slice(0, at), device: entry.slice(at + 1) };
}

function assertName(what: string, name: string): void {
  if (typeof name === 'string' && name !== '' && name.length <= maxNameLength && !name.includes(separator))
    return;
  throw new ArgumentError(
    `A ${what} is a string of 1 to ${maxNameLength} characters without NUL; got ${shown(name)}`,
  );
}
