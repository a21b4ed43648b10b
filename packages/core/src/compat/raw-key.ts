import { ArgumentError } from '../errors.ts';
import type { CacheKey, CacheTag, KeyResource } from '../keys/cache-key.ts';
import { escapePart, globalPrefix, tenantPrefix } from '../keys/wire-key.ts';
import { maxKeyLength, tenantTag } from '../keys/wire-tag.ts';

/** How many parts, after the tenant, a prefix of a pattern may have: every entry carries a tag for each. */
const deepest = 4;

/** A text such as `tenant:abc:txns:4f2a`, taken apart. */
interface RawKey {
  /** Of the tenant, or of what belongs to none. */
  readonly prefix: string;
  readonly tenant: string | undefined;
  readonly parts: readonly string[];
}

/**
 * The key of a text: `tenant:<id>:<resource>[:<rest>]` is of that tenant, and stands in Redis where the key of a key space
 * with such a resource and such a hash would; anything else belongs to no tenant.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for what is no text, is empty or too long, and for a tenant that is none.
 */
export function rawKey(resource: KeyResource, text: string): CacheKey {
  const { prefix, tenant, parts } = takenApart(resource.namespace, text);
  const tags: string[] = [];
  for (let depth = 1; depth < parts.length && depth <= deepest; depth++) {
    tags.push(prefixTag(prefix, parts.slice(0, depth)));
  }
  if (tenant !== undefined) tags.push(tenantTag(resource.namespace, tenant));
  return { wire: checked(prefix + parts.map(escapePart).join(':')), resource, tags };
}

/** What a pattern means: everything, one tag, or one key. */
export type RawPattern =
  | { readonly kind: 'all' }
  | { readonly kind: 'tag'; readonly tag: CacheTag }
  | { readonly kind: 'key'; readonly key: CacheKey };

/**
 * What a pattern means. `*` is everything, `<prefix>:*` what begins with whole parts, and without `*` it is a key.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for any other pattern.
 */
export function rawPattern(resource: KeyResource, pattern: string): RawPattern {
  if (pattern === '*') return { kind: 'all' };
  if (typeof pattern !== 'string' || !/[*?[\]\\]/.test(pattern)) {
    return { kind: 'key', key: rawKey(resource, pattern) };
  }
  const head = pattern.slice(0, -2);
  // The tenants are not a prefix of anything: each has its own keys.
  if (!pattern.endsWith(':*') || /[*?[\]\\]/.test(head) || head === 'tenant') {
    throw new ArgumentError(
      `The pattern ${JSON.stringify(pattern)} cannot be invalidated; give "*", a key, or whole parts of a key and ":*"`,
    );
  }
  const { namespace } = resource;
  const ofTenant = /^tenant:([^:]+)$/.exec(head);
  if (ofTenant !== null) return { kind: 'tag', tag: { wire: tenantTag(namespace, ofTenant[1] as string) } };
  const { prefix, parts } = takenApart(namespace, head);
  if (parts.length > deepest) {
    throw new ArgumentError(
      `A pattern has at most ${deepest} parts after the tenant; got ${JSON.stringify(pattern)}`,
    );
  }
  return { kind: 'tag', tag: { wire: checked(prefixTag(prefix, parts)) } };
}

function takenApart(namespace: string, text: string): RawKey {
  if (typeof text !== 'string' || text === '') {
    throw new ArgumentError(`A key is a text that is not empty; got ${JSON.stringify(text) ?? String(text)}`);
  }
  const [first, tenant, ...parts] = text.split(':');
  if (first !== 'tenant' || tenant === undefined || parts.length === 0) {
    return { prefix: globalPrefix(namespace, 'c'), tenant: undefined, parts: text.split(':') };
  }
  return { prefix: tenantPrefix(namespace, 'c', tenant), tenant, parts };
}

/** As a key space writes the tag of this name. */
function prefixTag(prefix: string, parts: readonly string[]): string {
  return `${prefix}#${escapePart(parts.join(':'))}`;
}

function checked(wire: string): string {
  if (wire.length <= maxKeyLength) return wire;
  throw new ArgumentError(`A key has at most ${maxKeyLength} bytes; got ${wire.length}`);
}
