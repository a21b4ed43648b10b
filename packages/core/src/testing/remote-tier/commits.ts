import { expect, test } from 'vitest';
import { globalPrefix } from '../../keys/wire-key.ts';
import type { RemoteEntry } from '../../ports/remote-tier.ts';
import { entryOf, nextToken, type TierGround } from './ground.ts';

/** Commits: a load that anything overtook never lands. */
export function commits(ground: () => TierGround): void {
  const overtaking: [string, (on: TierGround) => Promise<unknown>][] = [
    ['delete()', ({ other, key }) => other.delete([key])],
    ['put()', ({ other, key }) => other.put(key, entryOf({}), 60_000)],
    ['expire()', ({ other, key }) => other.expire([key])],
    ['bumpTags()', ({ other, tag }) => other.bumpTags([tag])],
    ['an eviction', ({ server, key }) => server.evict(key)],
    ['a foreign write', ({ server, key }) => server.write(key, 'garbage')],
  ];

  test.each(overtaking)('commit() of a load is refused after %s', async (_name, overtake) => {
    const on = ground();
    const { tier, other, key, tag, acquired, readOne } = on;
    const token = nextToken();
    const clock = await acquired(tier, key, token);
    await overtake(on);
    const entry = entryOf({ clock, version: token, tags: [tag], payload: '"old"' });
    expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(false);
    expect(JSON.stringify(await readOne(key))).not.toContain('old');
    // Either way the lease is over: nobody waits for it.
    const again = await other.acquire({ key, token: nextToken(), leaseMs: 60_000 });
    expect(again.state).not.toBe('leased');
  });

  test.each(overtaking)('commit() of a refresh is refused after %s', async (_name, overtake) => {
    const on = ground();
    const { tier, other, key, tag, stored, readOne } = on;
    const before = await stored(key, { tags: [tag] });
    const token = nextToken();
    const refresh = await tier.acquire({ key, token, leaseMs: 60_000, replaces: before.version });
    await overtake(on);
    const clock = refresh.state === 'acquired' ? refresh.clock : 0;
    const entry = entryOf({ clock, version: token, tags: [tag], payload: '"old"' });
    expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(false);
    expect(JSON.stringify(await readOne(key))).not.toContain('old');
    const replaces = before.version;
    const again = await other.acquire({ key, token: nextToken(), leaseMs: 60_000, replaces });
    expect(again.state).not.toBe('leased');
  });

  test('commit() is refused when a tag of no slot of the entry was bumped', async () => {
    const { server, tier, other, key, tag, acquired, readOne } = ground();
    const shared = `${globalPrefix(server.namespace, 'c')}#*`;
    const token = nextToken();
    const clock = await acquired(tier, key, token);
    await other.bumpTags([shared]);
    const entry = entryOf({ clock, version: token, tags: [tag, shared] });
    expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(false);
    expect(await readOne(key)).toEqual({ state: 'absent' });
  });

  test('commit() makes the tags of its entry known, and none newer than they were', async () => {
    const { server, other, key, tag, stored } = ground();
    const shared = `${globalPrefix(server.namespace, 'c')}#*`;
    expect(await other.tagVersions([tag, shared])).toEqual([undefined, undefined]);
    const entry = await stored(key, { tags: [tag, shared] });
    expect(await other.tagVersions([shared, tag])).toEqual([entry.clock, entry.clock]);
    await stored(`${key}:2`, { tags: [tag, shared] });
    expect(await other.tagVersions([tag, shared])).toEqual([entry.clock, entry.clock]);
  });

  test('acquire() makes the tags of the entry to come known: loads that share a new tag do not refuse each other', async () => {
    const { server, tier, other, key, tag } = ground();
    const shared = `${globalPrefix(server.namespace, 'c')}#*`;
    const tags = [tag, shared];
    const tokens = [nextToken(), nextToken()];
    const entries: RemoteEntry[] = [];
    for (const [index, token] of tokens.entries()) {
      const acquisition = await tier.acquire({ key: `${key}:${index}`, token, leaseMs: 60_000, tags });
      const clock = acquisition.state === 'acquired' ? acquisition.clock : 0;
      entries.push(entryOf({ clock, version: token, tags }));
    }
    const known = await other.tagVersions(tags);
    for (const version of known) expect(version).toBeLessThanOrEqual(entries[0]?.clock ?? 0);
    for (const index of [1, 0]) {
      const entry = entries[index] as RemoteEntry;
      const request = { key: `${key}:${index}`, token: entry.version, entry, ttlMs: 60_000 };
      expect(await tier.commit(request)).toBe(true);
    }
    expect(await other.tagVersions(tags)).toEqual(known);
  });
}
