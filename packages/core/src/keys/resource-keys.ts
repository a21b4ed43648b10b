import { ArgumentError, assertKnownOptions, ConfigurationError } from '../errors.ts';
import { defaultPolicy, policyOptions, resolvePolicy } from '../policy.ts';
import type { CacheKey, KeyResource } from './cache-key.ts';
import { Interned, InternedPairs } from './interned.ts';
import type { Resource } from './resource.ts';
import { freshHash, stableHash } from './stable-hash.ts';
import { schemaCheck } from './standard-schema.ts';
import { escapePart, globalPrefix, tenantPrefix } from './wire-key.ts';
import { assertLength, everythingUnder, tagUnder } from './wire-tag.ts';

/** How much the tags of one key may take together, in bytes: every entry carries them and every read checks them. */
export const maxTagsLength = 16_384;

/** How many keys of one resource are kept ready, at most twice that; what they and their tags take at most. */
const mostInterned = 1_000;
const longestInterned = 2_048;

/** What a key is made of. */
export type KeyParams = Readonly<Record<string, unknown>>;

/** Those of a resource that has none. */
export const noParams: KeyParams = {};

/** A resource that keys are made of, with those that were made lately. */
export interface KeyedResource {
  readonly resource: KeyResource;
  readonly scope: 'tenant' | 'global';
  readonly part: string;
  readonly tags: readonly string[] | ((params: never) => readonly string[]);
  /** By tenant; with `''` for the one of a resource that belongs to none. */
  readonly places: Interned<Place>;
  /** By tenant, those without parameters. */
  readonly plain: Interned<CacheKey>;
  /** By tenant and the only parameter, which has the same name each time. */
  readonly simple: InternedPairs<CacheKey>;
  simpleName: string | undefined;
  /** By tenant and parameters. */
  readonly various: Interned<CacheKey>;
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` for what cannot be a resource. */
export function keyedResource(
  name: string,
  namespace: string,
  scope: 'tenant' | 'global',
  declared: Resource<unknown, never>,
): KeyedResource {
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
    simple: new InternedPairs(mostInterned),
    simpleName: undefined,
    various: new Interned(mostInterned),
  };
}

/** The key that was made before for the same tenant and parameters, or a new one. */
export function keyOf(made: KeyedResource, params: KeyParams): CacheKey {
  if (typeof params !== 'object' || params === null) {
    const form = made.scope === 'tenant' ? '{ tenant, ... }' : 'an object';
    throw new ArgumentError(`keys.${made.resource.name}: give ${form}; got ${String(params)}`);
  }
  assertPlain(made.resource.name, params);
  const tenant = made.scope === 'tenant' ? params.tenant : '';
  const name = typeof tenant === 'string' ? onlyName(params, made.scope === 'tenant') : undefined;
  if (name !== undefined) {
    made.simpleName ??= name;
    if (name === made.simpleName) {
      return simpleKey(made, params, tenant as string, params[name] as string | number);
    }
  }
  const rest = paramsText(params, made.scope === 'tenant');
  if (rest === undefined || typeof tenant !== 'string') return newKey(made, params);
  const known = rest === '' ? made.plain : made.various;
  const text = rest === '' ? tenant : `${tenant.length}:${tenant}${rest}`;
  const before = known.get(text);
  if (before !== undefined) return before;
  const key = newKey(made, params, true);
  if (text.length + lengthOf(key) <= longestInterned) known.set(text, key);
  return key;
}

function simpleKey(made: KeyedResource, params: KeyParams, tenant: string, value: string | number): CacheKey {
  const before = made.simple.get(tenant, value);
  if (before !== undefined) return before;
  const key = newKey(made, params, true);
  const length = tenant.length + String(value).length + lengthOf(key);
  if (length <= longestInterned) made.simple.set(tenant, value, key);
  return key;
}

function lengthOf({ wire, tags }: CacheKey): number {
  let { length } = wire;
  for (const tag of tags) length += tag.length;
  return length;
}

/** The name of the only parameter, if there is only one and it is a text or a number. */
function onlyName(params: KeyParams, tenants: boolean): string | undefined {
  let only: string | undefined;
  for (const name in params) {
    if (tenants && name === 'tenant') continue;
    const value = params[name];
    if (value === undefined) continue;
    if (only !== undefined || (typeof value !== 'string' && typeof value !== 'number')) return undefined;
    only = name;
  }
  return only;
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
function newKey(made: KeyedResource, params: KeyParams, remembered = false): CacheKey {
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

function placeOf(made: KeyedResource, tenant: string): Place {
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
function ownOf(made: KeyedResource, params: KeyParams): KeyParams {
  if (made.scope === 'global') return params;
  const { tenant: _, ...own } = params;
  return own;
}

function tagsOf(made: KeyedResource, { prefix, implicit }: Place, params: KeyParams): readonly string[] {
  const names = typeof made.tags === 'function' ? made.tags(params as never) : made.tags;
  if (!Array.isArray(names)) {
    throw new ArgumentError(`keys.${made.resource.name}: tags gives a list of names; got ${String(names)}`);
  }
  const tags = names.map((name: string) => tagUnder(prefix, name));
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
