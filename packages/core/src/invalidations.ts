import type { Cache } from './cache/cache.ts';
import { ArgumentError, ConfigurationError } from './errors.ts';
import type { CacheKey, CacheTag } from './keys/cache-key.ts';
import type { TierClock } from './ports/remote-tier.ts';

/** What becomes invalid when something happens: for the parameters of the event its keys and tags. */
export type InvalidationRule<Params> = (params: Params) => readonly (CacheKey | CacheTag)[];

type AnyRules = Readonly<Record<string, InvalidationRule<never>>>;

type ParamsOf<Rule> = Rule extends InvalidationRule<infer Params> ? Params : never;

/** The table of {@link defineInvalidations}. */
export interface Invalidations<Rules extends AnyRules> {
  /** The names of the events, in the order declared. */
  readonly names: readonly (keyof Rules & string)[];

  /** What an event makes invalid; changes nothing. */
  of<Name extends keyof Rules & string>(
    name: Name,
    params: ParamsOf<Rules[Name]>,
  ): { readonly keys: readonly CacheKey[]; readonly tags: readonly CacheTag[] };

  /**
   * Invalidates what the event makes invalid. Both its keys and its tags are tried, whichever fails.
   *
   * @returns The clock of the invalidation, good as a `minClock`.
   * @throws ArgumentError `INVALID_ARGUMENT` for a name that was not declared; whatever `cache` throws.
   */
  apply<Name extends keyof Rules & string>(
    cache: Pick<Cache, 'invalidate' | 'invalidateTags'>,
    name: Name,
    params: ParamsOf<Rules[Name]>,
  ): Promise<TierClock>;
}

/**
 * Declares once what becomes invalid when something happens, so that no handler has to know.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a rule that is no function.
 * @example
 * const invalidations = defineInvalidations({
 *   deviceRenamed: ({ tenant }: { tenant: string }) => [keys.devices({ tenant })],
 *   callEnded: ({ tenant }: { tenant: string }) => [keys.tag(tenant, 'calls')],
 *   synced: ({ tenant }: { tenant: string }) => [keys.all(tenant)],
 * });
 * const clock = await invalidations.apply(cache, 'callEnded', { tenant: 'acme' });
 */
export function defineInvalidations<const Rules extends AnyRules>(rules: Rules): Invalidations<Rules> {
  const table = new Map<string, InvalidationRule<never>>();
  for (const [name, rule] of Object.entries(rules)) {
    if (typeof rule !== 'function') {
      throw new ConfigurationError(`defineInvalidations: ${name} is a function; got ${String(rule)}`);
    }
    table.set(name, rule);
  }
  const of = (name: string, params: unknown) => {
    const rule = table.get(name);
    if (rule === undefined) {
      throw new ArgumentError(
        `No invalidation is named "${name}"; there are ${[...table.keys()].join(', ')}`,
      );
    }
    const keys: CacheKey[] = [];
    const tags: CacheTag[] = [];
    for (const target of rule(params as never)) {
      if (target.resource !== undefined) keys.push(target);
      else tags.push(target);
    }
    return { keys, tags };
  };
  return {
    names: [...table.keys()],
    of,
    apply: async (cache, name, params) => {
      const { keys, tags } = of(name, params);
      const calls: Promise<TierClock>[] = [];
      if (keys.length > 0 || tags.length === 0) calls.push(cache.invalidate(...keys));
      if (tags.length > 0) calls.push(cache.invalidateTags(...tags));
      const clocks = await Promise.allSettled(calls);
      let latest = 0;
      for (const clock of clocks) {
        if (clock.status === 'rejected') throw clock.reason;
        latest = Math.max(latest, clock.value);
      }
      return latest;
    },
  };
}
