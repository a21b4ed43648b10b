import { ConfigurationError } from '../errors.ts';
import type { ChangeEvent } from '../ports/change-source.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import type { ChangeContext, Stage } from './stage.ts';

/** What the stage needs of a cache; a `Cache` of `createCache` has it. */
export interface InvalidatedCache<Tag> {
  /** Makes everything that carries one of the tags invalid; the clock is that of the invalidation. */
  invalidateTags(...tags: Tag[]): Promise<TierClock>;
  /** Makes everything invalid. */
  clear(): Promise<TierClock>;
}

/**
 * The stage that makes cached values of the changed rows invalid, before anybody is told of the change.
 *
 * The tags of a whole batch go in one call, and the clock of the invalidation into `context.clock`. On a gap
 * everything of the cache's namespace is dropped.
 *
 * @param tagsOf - The tags of what a change makes invalid; none if nothing depends on it, `'all'` if it cannot be told
 * what does (a change of no tenant in particular), which drops everything of the namespace. A throw fails the batch.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if `cache` cannot invalidate or `tagsOf` is no function.
 * @example
 * invalidateStage(cache, (change) => (change.tenant ? [keys.tag(change.tenant, change.table)] : 'all'));
 */
export function invalidateStage<Tag>(
  cache: InvalidatedCache<Tag>,
  tagsOf: (change: ChangeEvent) => readonly Tag[] | 'all',
): Stage {
  if (typeof cache?.invalidateTags !== 'function' || typeof cache.clear !== 'function') {
    throw new ConfigurationError('invalidateStage: the first argument is a cache');
  }
  if (typeof tagsOf !== 'function') {
    throw new ConfigurationError('invalidateStage: the second argument gives the tags of a change');
  }
  const stage = async (batch: readonly ChangeEvent[], context: ChangeContext): Promise<void> => {
    if (context.gap !== undefined) {
      advance(context, await cache.clear());
      return;
    }
    const tags = new Set<Tag>();
    for (const change of batch) {
      const ofChange = tagsOf(change);
      if (ofChange === 'all') {
        advance(context, await cache.clear());
        return;
      }
      for (const tag of ofChange) tags.add(tag);
    }
    if (tags.size > 0) advance(context, await cache.invalidateTags(...tags));
  };
  return Object.assign(stage, { role: 'invalidate' as const });
}

/** With several caches the batch has the latest of their clocks. */
function advance(context: ChangeContext, clock: TierClock): void {
  context.clock = Math.max(context.clock ?? 0, clock);
}
