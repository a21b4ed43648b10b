import type { RedisExecutor, TierClock } from '@cachekit/core';
import { hashTag } from '../keys.ts';
import { keepTagsScript } from '../scripts/keep-tags.ts';
import { commandGroups } from '../slot-groups.ts';

/** Keys per script call. */
const mostKeys = 512;

/** The tags of an entry that are in another slot than it: no script can see both. There are none but on a cluster. */
export class FarTags {
  readonly #redis: RedisExecutor;
  readonly #cluster: boolean;

  constructor(redis: RedisExecutor) {
    this.#redis = redis;
    this.#cluster = redis.capabilities.cluster;
  }

  /** The tags that share the slot of the entry, and those that do not. */
  apart(key: string, tags: readonly string[]): [near: readonly string[], far: readonly string[]] {
    if (!this.#cluster || tags.length === 0) return [tags, []];
    const slot = hashTag(key);
    return [tags.filter((tag) => hashTag(tag) === slot), tags.filter((tag) => hashTag(tag) !== slot)];
  }

  /** Lets them live for `ms` at least; `false` if one is newer than `clock`. */
  async keep(tags: readonly string[], clock: TierClock, ms: number): Promise<boolean> {
    const groups = commandGroups(tags, this.#cluster, mostKeys);
    const args = [clock, ms];
    const kept = await Promise.all(groups.map((group) => this.#redis.script(keepTagsScript, group, args)));
    return kept.every((reply) => reply === 1);
  }
}
