import { tenantPrefix } from '@cachekit/core';

/** The sorted set of the members of a tenant that are online. */
export function presenceKey(namespace: string, tenant: string): string {
  return `${tenantPrefix(namespace, 'p', tenant)}online`;
}

/** What every key of the cache begins with: entries and tags of all tenants, and nothing else. */
export function cachePrefix(namespace: string): string {
  return `${namespace}:c:`;
}

/** The channel on which the processes of a namespace tell each other which cache keys changed. */
export function changesChannel(namespace: string): string {
  return `${namespace}:c:changes`;
}

/** The stream of the same messages, for processes that cannot subscribe. */
export function changesLog(namespace: string): string {
  return `${namespace}:e:changes`;
}

/**
 * What decides the slot of a key on a cluster: the text in the first pair of braces, or else the whole key.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
export function hashTag(key: string): string {
  const open = key.indexOf('{');
  if (open === -1) return key;
  const close = key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}
