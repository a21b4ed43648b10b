import type { Coherence, RemoteTier } from '@cachekit/core';
import { lossyBus } from '@cachekit/core/testing';

/** What a process of a history can do wrong; each breaks one promise. */
export const sabotages = [
  'commit without a fence',
  'take every tag for one that was never invalidated',
  'keep in memory what they invalidate',
  'hear nothing of what others change and do not notice',
] as const;

export type Sabotage = (typeof sabotages)[number] | 'none';

/** The tier of a process that does one thing wrong. */
export function sabotaged(tier: RemoteTier, sabotage: Sabotage): RemoteTier {
  const changes: Partial<RemoteTier> = {};
  if (sabotage === 'commit without a fence') {
    const commit: RemoteTier['commit'] = async ({ key, entry, ttlMs }) =>
      (await tier.put(key, entry, ttlMs)) > 0;
    changes.commit = commit;
    changes.commitMany = (requests) => Promise.all(requests.map(commit));
  }
  if (sabotage === 'take every tag for one that was never invalidated') {
    const versions = (tags: readonly string[]) => tags.map(() => 1);
    changes.tagVersions = async (tags) => versions(tags);
    changes.look = async (keys, tags) => ({ reads: await tier.getMany(keys), versions: versions(tags) });
  }
  // A process that published the change would hear of it as others do.
  if (
    sabotage === 'hear nothing of what others change and do not notice' ||
    sabotage === 'keep in memory what they invalidate'
  ) {
    Object.assign(changes, { coherence: lossyBus(tier.coherence as Coherence, () => true) });
  }
  return new Proxy(tier, {
    get(target, name) {
      const changed = changes[name as keyof RemoteTier];
      if (changed !== undefined) return changed;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
