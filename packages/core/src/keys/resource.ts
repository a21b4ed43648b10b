import type { CachePolicy } from '../policy.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';

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
