import { ArgumentError, assertKnownOptions, ConfigurationError } from './errors.ts';
import { type CachePolicy, defaultPolicy, policyOptions, resolvePolicy } from './policy.ts';
import { stableHash } from './stable-hash.ts';
import { assertNamespace, defaultNamespace, escapePart, globalPrefix, tenantPrefix } from './wire-key.ts';

/** Longest key on the wire, in bytes. */
export const maxKeyLength = 1_024;

/** How much the tags of one key may take together, in bytes: every entry carries them and every read checks them. */
export const maxTagsLength = 16_384;

/** A kind of value that is cached: what its metrics are counted under and the policy of its entries. */
export interface KeyResource {
  readonly name: string;
  readonly namespace: string;
  readonly policy: CachePolicy;
}

/**
 * The key of one entry, made by `defineKeys()`.
 *
 * `T` is the type of the value; nothing of that type is in the key itself.
 */
export interface CacheKey<T = unknown> {
  /** The key as it stands in Redis. */
  readonly wire: string;
  readonly resource: KeyResource;
  /** Wire keys of the tags that every entry of this key carries. */
  readonly tags: readonly string[];
  /** Never there: only carries the type. */
  readonly value?: T;
}

/** A name that entries carry, to invalidate all of them at once; made by the `tag` of a key space. */
export interface CacheTag {
  /** The tag as it stands in Redis. */
  readonly wire: string;
}

/** What a resource needs besides its policy. */
export interface ResourceOptions<Params> extends CachePolicy {
  /** Names of the tags that its entries carry, or a function that gives them for the parameters of one entry. */
  readonly tags?: readonly string[] | ((params: Params) => readonly string[]);
}

/** A resource as declared: the type of its values and of its parameters, its policy and tags. */
export interface Resource<T, Params> {
  readonly options: ResourceOptions<Params>;
  /** Never there: only carries the types. */
  readonly types?: (params: Params) => T;
}

/** The parameters of a resource of which there is one entry per tenant. */
export type NoParams = Record<never, never>;

/**
 * Declares a kind of value that is cached: its type, its parameters, its policy and its tags.
 *
 * @typeParam T - The value; what the codec gives back, so with JSON no dates and no maps.
 * @typeParam Params - What one entry differs by besides the tenant. Part of the key through {@link stableHash}.
 * @example
 * resource<Call[], { limit: number }>({ ttl: '1m', tags: ['calls'] });
 */
export function resource<T, Params extends object = NoParams>(
  options: ResourceOptions<Params> = {},
): Resource<T, Params> {
  return { options };
}

type AnyResources = Readonly<Record<string, Resource<unknown, never>>>;

type TenantKey<R> =
  R extends Resource<infer T, infer Params>
    ? (
        params: [keyof Params] extends [never]
          ? { readonly tenant: string }
          : { readonly tenant: string } & Params,
      ) => CacheKey<T>
    : never;

type GlobalKey<R> =
  R extends Resource<infer T, infer Params>
    ? [keyof Params] extends [never]
      ? () => CacheKey<T>
      : (params: Params) => CacheKey<T>
    : never;

/** Makes the keys of one tenant at a time. */
export type TenantKeySpace<Resources extends AnyResources> = {
  readonly [Name in Exclude<keyof Resources, 'tag'>]: TenantKey<Resources[Name]>;
} & {
  /** The tag `name` of this tenant. */
  readonly tag: (tenant: string, name: string) => CacheTag;
};

/** Makes keys that belong to no tenant. */
export type GlobalKeySpace<Resources extends AnyResources> = {
  readonly [Name in Exclude<keyof Resources, 'tag'>]: GlobalKey<Resources[Name]>;
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
  /** The resources by name; the name is part of the key. `tag` and `overall` are taken. */
  readonly resources: Resources;
}

/**
 * Declares what is cached and gives the functions that make its keys.
 *
 * A key of a tenant is `<namespace>:c:tenant:{<tenant>}:<resource>[:<hash of the parameters>]`; all keys and tags of a
 * tenant are in one slot of a cluster, and no tenant id, tag or parameter reaches a key of another tenant.
 * Several key spaces may share a cache as long as their resources are named differently.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown options, durations that are none, taken names.
 * The functions it gives throw ArgumentError `INVALID_ARGUMENT` for a tenant id that is empty, missing or longer than
 * 128 characters, for parameters that cannot be part of a key, for a key longer than
 * {@link maxKeyLength} and for tags longer than {@link maxTagsLength}.
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
  const tenants = options.scope === 'tenant';
  // No prototype: a resource may be named like a member of every object.
  const space: Record<string, unknown> = Object.create(null);
  for (const [name, declared] of Object.entries(options.resources)) {
    const made = tagged(name, namespace, declared);
    space[name] = tenants
      ? (params: { tenant: string }) => tenantKey(made, params)
      : (params?: object) => keyUnder(globalPrefix(namespace, 'c'), made, params ?? {});
  }
  space.tag = tenants
    ? (tenant: string, name: string) => ({ wire: tagUnder(tenantPrefix(namespace, 'c', tenant), name) })
    : (name: string) => ({ wire: tagUnder(globalPrefix(namespace, 'c'), name) });
  return Object.freeze(space);
}

/** The tag that every entry of a namespace carries. No name that a user gives is written like it. */
export function namespaceTag(namespace: string): string {
  return `${globalPrefix(namespace, 'c')}#*`;
}

interface TaggedResource {
  readonly resource: KeyResource;
  readonly part: string;
  readonly tags: readonly string[] | ((params: never) => readonly string[]);
}

function tagged(name: string, namespace: string, declared: Resource<unknown, never>): TaggedResource {
  const where = `defineKeys: resources.${name}`;
  if (name === '' || name === 'tag' || name === 'overall') {
    throw new ConfigurationError(`${where}: a resource cannot be named ${JSON.stringify(name)}`);
  }
  if (typeof declared?.options !== 'object' || declared.options === null) {
    throw new ConfigurationError(`${where}: give resource({ ... })`);
  }
  assertKnownOptions(where, declared.options, [...policyOptions, 'tags']);
  const { tags = [], ...policy } = declared.options;
  if (
    typeof tags !== 'function' &&
    !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && tag))
  ) {
    throw new ConfigurationError(`${where}: tags takes names or a function that gives names`);
  }
  resolvePolicy(policy, defaultPolicy, where);
  return { resource: { name, namespace, policy }, part: escapePart(name), tags };
}

function tenantKey(made: TaggedResource, params: { readonly tenant: string }): CacheKey {
  if (typeof params !== 'object' || params === null) {
    throw new ArgumentError(`keys.${made.resource.name}: give { tenant, ... }; got ${String(params)}`);
  }
  const { tenant, ...rest } = params;
  return keyUnder(tenantPrefix(made.resource.namespace, 'c', tenant), made, rest);
}

function keyUnder(prefix: string, made: TaggedResource, params: object): CacheKey {
  let wire = prefix + made.part;
  for (const name in params) {
    // One property that is there is enough: the hash covers all of them.
    if ((params as Record<string, unknown>)[name] !== undefined) {
      wire += `:${stableHash(params)}`;
      break;
    }
  }
  assertLength(wire);
  const names = typeof made.tags === 'function' ? made.tags(params as never) : made.tags;
  const tags = names.map((name) => tagUnder(prefix, name));
  let length = 0;
  for (const tag of tags) length += tag.length;
  if (length > maxTagsLength) {
    throw new ArgumentError(
      `The tags of a key have at most ${maxTagsLength} bytes; got ${length} in ${tags.length} tags`,
    );
  }
  return { wire, resource: made.resource, tags };
}

function tagUnder(prefix: string, name: string): string {
  if (typeof name !== 'string' || name === '') {
    throw new ArgumentError(`A tag is a name that is not empty; got ${JSON.stringify(name) ?? String(name)}`);
  }
  // "#" is escaped in names of resources, so no tag is ever the key of an entry.
  const wire = `${prefix}#${escapePart(name)}`;
  assertLength(wire);
  return wire;
}

function assertLength(wire: string): void {
  if (wire.length > maxKeyLength) {
    throw new ArgumentError(
      `A key has at most ${maxKeyLength} bytes; got ${wire.length}: ${wire.slice(0, 80)}...`,
    );
  }
}
