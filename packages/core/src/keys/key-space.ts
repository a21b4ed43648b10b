import { ArgumentError, assertKnownOptions, ConfigurationError } from '../errors.ts';
import { type CachePolicy, defaultPolicy, policyOptions, resolvePolicy } from '../policy.ts';
import { Interned } from './interned.ts';
import { freshHash, stableHash } from './stable-hash.ts';
import { type StandardSchemaV1, schemaCheck } from './standard-schema.ts';
import { assertNamespace, defaultNamespace, escapePart, globalPrefix, tenantPrefix } from './wire-key.ts';

/** Longest key on the wire, in bytes. */
export const maxKeyLength = 1_024;

/** How much the tags of one key may take together, in bytes: every entry carries them and every read checks them. */
export const maxTagsLength = 16_384;

/** How many keys of one resource are kept ready, at most twice that; what they and their tags take at most. */
const mostInterned = 1_000;
const longestInterned = 2_048;

/** A kind of value that is cached: what its metrics are counted under and the policy of its entries. */
export interface KeyResource {
  readonly name: string;
  readonly namespace: string;
  readonly policy: CachePolicy;
  /** Gives what a value read from the remote tier is good for, or throws, which makes it a miss. Absent: as it is. */
  readonly check?: (stored: unknown) => unknown;
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
  /** Never there: a key is no tag. */
  readonly resource?: never;
}

/** What a resource needs besides its policy. */
export interface ResourceOptions<Params, T = unknown> extends CachePolicy {
  /**
   * Names of the tags that its entries carry, or a function that gives them for the parameters of one entry: always the
   * same for the same parameters, because a key is made once and used again.
   */
  readonly tags?: readonly string[] | ((params: Params) => readonly string[]);
  /**
   * What a value that is read from the remote tier has to fit, which another version of the program may have written.
   * What the schema makes of it (defaults, dates from text) is the value. It says so at once, not in a promise. One that
   * does not fit is a miss, told as `damaged`, and replaced. What the loader gives is believed.
   *
   * @see https://standardschema.dev
   */
  readonly schema?: StandardSchemaV1<T>;
  /** Makes a value that does not fit `schema` into one that does, which is checked again. A throw is a misfit. */
  readonly migrate?: (stored: unknown) => unknown;
}

/** A resource as declared: the type of its values and of its parameters, its policy and tags. */
export interface Resource<T, Params> {
  readonly options: ResourceOptions<Params, T>;
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
  options: ResourceOptions<Params, T> = {},
): Resource<T, Params> {
  return { options };
}

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
    const made = tagged(name, namespace, options.scope, declared);
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

function everythingUnder(prefix: string): string {
  // "*" is escaped in names of tags.
  return `${prefix}#*`;
}

type KeyParams = Readonly<Record<string, unknown>>;

const noParams: KeyParams = {};

interface TaggedResource {
  readonly resource: KeyResource;
  readonly scope: 'tenant' | 'global';
  readonly part: string;
  readonly tags: readonly string[] | ((params: never) => readonly string[]);
  /** By tenant; with `''` for the one of a resource that belongs to none. */
  readonly places: Interned<Place>;
  /** By tenant, those without parameters. */
  readonly plain: Interned<CacheKey>;
  /** By tenant and parameters. */
  readonly various: Interned<CacheKey>;
}

function tagged(
  name: string,
  namespace: string,
  scope: 'tenant' | 'global',
  declared: Resource<unknown, never>,
): TaggedResource {
  const where = `defineKeys: resources.${name}`;
  if (name === '' || name === 'tag' || name === 'all' || name === 'overall') {
    throw new ConfigurationError(`${where}: a resource cannot be named ${JSON.stringify(name)}`);
  }
  if (typeof declared?.options !== 'object' || declared.options === null) {
    throw new ConfigurationError(`${where}: give resource({ ... })`);
  }
  assertKnownOptions(where, declared.options, [...policyOptions, 'tags', 'schema', 'migrate']);
  const { tags = [], schema, migrate, ...policy } = declared.options;
  if (
    typeof tags !== 'function' &&
    !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && tag))
  ) {
    throw new ConfigurationError(`${where}: tags takes names or a function that gives names`);
  }
  resolvePolicy(policy, defaultPolicy, where);
  const check = schemaCheck(where, name, schema, migrate);
  return {
    resource: { name, namespace, policy, ...(check && { check }) },
    scope,
    part: escapePart(name),
    tags,
    places: new Interned(mostInterned),
    plain: new Interned(mostInterned),
    various: new Interned(mostInterned),
  };
}

/** The key that was made before for the same tenant and parameters, or a new one. */
function keyOf(made: TaggedResource, params: KeyParams): CacheKey {
  if (typeof params !== 'object' || params === null) {
    const form = made.scope === 'tenant' ? '{ tenant, ... }' : 'an object';
    throw new ArgumentError(`keys.${made.resource.name}: give ${form}; got ${String(params)}`);
  }
  assertPlain(made.resource.name, params);
  const tenant = made.scope === 'tenant' ? params.tenant : '';
  const rest = paramsText(params, made.scope === 'tenant');
  if (rest === undefined || typeof tenant !== 'string') return newKey(made, params);
  const known = rest === '' ? made.plain : made.various;
  const text = rest === '' ? tenant : `${tenant.length}:${tenant}${rest}`;
  const before = known.get(text);
  if (before !== undefined) return before;
  const key = newKey(made, params, true);
  let length = text.length + key.wire.length;
  for (const tag of key.tags) length += tag.length;
  if (length <= longestInterned) known.set(text, key);
  return key;
}

/** What an instance of a class keeps out of sight would be missing from the key, and two of them would share an entry. */
function assertPlain(resource: string, params: KeyParams): void {
  const prototype = Object.getPrototypeOf(params) as object | null;
  if (prototype === Object.prototype || prototype === null) return;
  // A plain object of another realm.
  if (Object.getPrototypeOf(prototype) === null) return;
  throw new ArgumentError(`keys.${resource}: parameters are a plain object, and not an instance of a class`);
}

/**
 * Parameters in the order given, as a text; `undefined` if one of them is more than text, a number or a boolean. Lengths
 * come before texts, so that different parameters are never written alike.
 */
function paramsText(params: KeyParams, tenants: boolean): string | undefined {
  let text = '';
  for (const name in params) {
    if (tenants && name === 'tenant') continue;
    const value = params[name];
    switch (typeof value) {
      case 'string':
        text += `,${name.length}:${name}:${value.length}:${value}`;
        break;
      case 'number':
      case 'boolean':
        text += `,${name.length}:${name}=${value}`;
        break;
      case 'undefined':
        break;
      default:
        return undefined;
    }
  }
  return text;
}

/** What the keys of a resource have in common that belong to one tenant. */
interface Place {
  readonly prefix: string;
  /** The tag that all of its entries carry. */
  readonly implicit: readonly string[];
  /** All tags, where they do not depend on the parameters. */
  readonly tags: readonly string[] | undefined;
}

/** @param remembered - The parameters are plain, and the key is not made again soon. */
function newKey(made: TaggedResource, params: KeyParams, remembered = false): CacheKey {
  const tenant = made.scope === 'tenant' ? (params.tenant as string) : '';
  const place = placeOf(made, tenant);
  const except = made.scope === 'tenant' ? 'tenant' : undefined;
  let wire = place.prefix + made.part;
  for (const name in params) {
    // One property that is there is enough: the hash covers all of them.
    if (params[name] === undefined || name === except) continue;
    wire += `:${remembered ? freshHash(params, except) : stableHash(ownOf(made, params))}`;
    break;
  }
  assertLength(wire);
  const tags = place.tags ?? tagsOf(made, place, ownOf(made, params));
  return Object.freeze({ wire, resource: made.resource, tags });
}

function placeOf(made: TaggedResource, tenant: string): Place {
  // What is no text is refused below.
  const before = typeof tenant === 'string' ? made.places.get(tenant) : undefined;
  if (before !== undefined) return before;
  const { namespace } = made.resource;
  const prefix =
    made.scope === 'global' ? globalPrefix(namespace, 'c') : tenantPrefix(namespace, 'c', tenant);
  const implicit = made.scope === 'global' ? [] : [everythingUnder(prefix)];
  const place: Place = { prefix, implicit, tags: undefined };
  if (typeof made.tags === 'function') return place;
  const tags = tagsOf(made, place, noParams);
  const whole = { ...place, tags };
  if (tags.join('').length <= longestInterned) made.places.set(tenant, whole);
  return whole;
}

/** The parameters without the tenant. */
function ownOf(made: TaggedResource, params: KeyParams): KeyParams {
  if (made.scope === 'global') return params;
  const { tenant: _, ...own } = params;
  return own;
}

function tagsOf(made: TaggedResource, { prefix, implicit }: Place, params: KeyParams): readonly string[] {
  const names = typeof made.tags === 'function' ? made.tags(params as never) : made.tags;
  const tags = names.map((name) => tagUnder(prefix, name));
  let length = 0;
  for (const tag of tags) length += tag.length;
  if (length > maxTagsLength) {
    throw new ArgumentError(
      `The tags of a key have at most ${maxTagsLength} bytes; got ${length} in ${tags.length} tags`,
    );
  }
  tags.push(...implicit);
  return Object.freeze(tags);
}

function tagUnder(prefix: string, name: string): string {
  if (typeof name !== 'string' || name === '') {
    throw new ArgumentError(`A tag is a name that is not empty; got ${JSON.stringify(name) ?? String(name)}`);
  }
  // "#" is escaped in names of resources, so no tag is ever the key of an entry; see assertTag().
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
