import { ArgumentError, escapePart, escapeTenant, tenantPrefix } from '@cachekit/core';
import { shown } from '../shown.ts';

/** Longest name of a user, in characters. */
const maxUserLength = 256;
/** More than any id that was ever given out has. */
const maxIdLength = 4_096;

/** The hash of one session. */
export function sessionKey(namespace: string, tenant: string, handle: string): string {
  return `${tenantPrefix(namespace, 's', tenant)}session:${handle}`;
}

/** The sorted set of the sessions of a user, by the time at which each ends at the latest. */
export function userKey(namespace: string, tenant: string, user: string): string {
  if (typeof user !== 'string' || user === '' || user.length > maxUserLength) {
    throw new ArgumentError(`A user is a string of 1 to ${maxUserLength} characters; got ${shown(user)}`);
  }
  return `${tenantPrefix(namespace, 's', tenant)}user:${escapePart(user)}`;
}

/** The id that the browser gets: whose session it is, so that it can be found, and the secret. */
export function sessionId(tenant: string, secret: string): string {
  return `${escapeTenant(tenant)}.${secret}`;
}

/** The parts of an id, or nothing if it is none: it comes from outside. */
export function parseSessionId(
  id: unknown,
): { readonly tenant: string; readonly secret: string } | undefined {
  if (typeof id !== 'string' || id.length > maxIdLength) return undefined;
  const match = /^([^{}:\s]+)\.([\w-]{43})$/.exec(id);
  const [, escaped, secret] = match ?? [];
  if (escaped === undefined || secret === undefined) return undefined;
  try {
    const tenant = decodeURIComponent(escaped);
    return escapeTenant(tenant) === escaped ? { tenant, secret } : undefined;
  } catch {
    return undefined;
  }
}
