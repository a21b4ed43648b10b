import { assertKnownOptions, ConfigurationError } from '../errors.ts';
import type { CacheKey, CacheTag } from './cache-key.ts';
import type { Resource } from './resource.ts';
import { type KeyParams, keyedResource, keyOf, noParams } from './resource-keys.ts';
import { assertNamespace, defaultNamespace, globalPrefix, tenantPrefix } from './wire-key.ts';
import { tagUnder, tenantTag } from './wire-tag.ts';

type AnyResources = Readonly<Record<string, Resource<unknown, never>>>;

/** Parameters that were left to be inferred come as `never`, and are none either. */
type HasParams<Params> = [Params] extends [never] ? false : [keyof Params] extends [never] ? false : true;

type TenantKey<R> =
  R extends Resource<infer T, infer Params>
    ? (
        params: HasParams<Params> extends true
          ? { readonly tenant: string } & Params
          : { readonly tenant: string },
      ) => CacheKey<T>
    : never;

type GlobalKey<R> =
  R extends Resource<infer T, infer Params>
    ? HasParams<Params> extends true
      ? (params: Params) => CacheKey<T>
      : () => CacheKey<T>
    : never;

/** Makes the keys of one tenant at a time. */
export type TenantKeySpace<Resources extends AnyResources> = {
  readonly [Name in Exclude<keyof Resources, 'tag' | 'all'>]: TenantKey<Resources[Name]>;
} & {
  /** The tag `name` of this tenant. */
  readonly tag: (tenant: string, name: string) => CacheTag;
  /** The tag that every entry of this tenant carries: to invalidate it drops the tenant, in O(1). */
  readonly all: (tenant: string) => CacheTag;
};

/** Makes keys that belong to no tenant. */
export type GlobalKeySpace<Resources extends AnyResources> = {
  readonly [Name in Exclude<keyof Resources, 'tag' | 'all'>]: GlobalKey<Resources[Name]>;
} & {
  /** The global tag `name`. */
  readonly tag: (name: string) => CacheTag;
};

/** What {@link defineKeys} takes. */
export interface KeySpaceOptions<Scope extends 'tenant' | 'global', Resources extends AnyResources> {
  /** First part of every key; that of the cache. @defaultValue `"ck"` */
  readonly namespace?: string;
  /** Whether every key names a tenant. */
  readonly scope: Scope;
  /** The resources by name; the name is part of the key. `tag`, `all` and `overall` are taken. */
  readonly resources: Resources;
}

/**
 * Declares what is cached and gives the functions that make its keys.
 *
 * A key of a tenant is `<namespace>:c:tenant:{<tenant>}:<resource>[:<hash of the parameters>]`; all keys and tags of a
 * tenant are in one slot of a cluster, and no tenant id, tag or parameter reaches a key of another tenant. Every key of
 * a tenant carries the tag `keys.all(tenant)` besides its own. A key that was made lately is given again, frozen.
 * Several key spaces may share a cache as long as their resources are named differently.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown options, durations that are none, taken names.
 * The functions it gives throw ArgumentError `INVALID_ARGUMENT` for a tenant id that is empty, missing or longer than
 * 128 characters, for parameters that cannot be part of a key, for a key longer than
 * `maxKeyLength` and for tags longer than `maxTagsLength`.
 * @example
 * const keys = defineKeys({
 *   scope: 'tenant',
 *   resources: {
 *     devices: resource<Device[]>({ ttl: '5m', tags: ['devices'] }),
 *     recentCalls: resource<Call[], { limit: number }>({ ttl: '1m', tags: ['calls'] }),
 *     call: resource<Call, { id: string }>({ ttl: '1h', tags: ({ id }) => ['calls', `call:${id}`] }),
 *   },
 * });
 * const key = keys.recentCalls({ tenant: 'acme', limit: 20 });
 */
export function defineKeys<const Resources extends AnyResources>(
  options: KeySpaceOptions<'tenant', Resources>,
): TenantKeySpace<Resources>;
export function defineKeys<const Resources extends AnyResources>(
  options: KeySpaceOptions<'global', Resources>,
): GlobalKeySpace<Resources>;
export function defineKeys(
  options: KeySpaceOptions<'tenant' | 'global', AnyResources>,
): Record<string, unknown> {
  assertKnownOptions('defineKeys', options, ['namespace', 'scope', 'resources']);
  const namespace = options.namespace ?? defaultNamespace;
  assertNamespace(namespace);
  if (options.scope !== 'tenant' && options.scope !== 'global') {
    throw new ConfigurationError(`defineKeys: scope is "tenant" or "global"; got ${String(options.scope)}`);
  }
  if (typeof options.resources !== 'object' || options.resources === null) {
    throw new ConfigurationError('defineKeys: resources is an object of resource({ ... })');
  }
  const tenants = options.scope === 'tenant';
  // No prototype: a resource may be named like a member of every object.
  const space: Record<string, unknown> = Object.create(null);
  for (const [name, declared] of Object.entries(options.resources)) {
    const made = keyedResource(name, namespace, options.scope, declared);
    space[name] = tenants
      ? (params: KeyParams) => keyOf(made, params)
      : (params: KeyParams = noParams) => keyOf(made, params);
  }
  if (tenants) {
    space.tag = (tenant: string, name: string) => ({
      wire: tagUnder(tenantPrefix(namespace, 'c', tenant), name),
    });
    space.all = (tenant: string) => ({ wire: tenantTag(namespace, tenant) });
  } else {
    space.tag = (name: string) => ({ wire: tagUnder(globalPrefix(namespace, 'c'), name) });
  }
  return Object.freeze(space);
}
