import { expect, test } from 'vitest';
import { tenantPrefix } from '../../keys/wire-key.ts';
import type { CoherenceSink } from '../../ports/coherence.ts';
import { entryOf, nextToken, type TierGround, waitMs } from './ground.ts';

/** Tags, and how every process hears of a change. */
export function changes(ground: () => TierGround): void {
  test('bumpTags() makes tags of several tenants newer than every load that began before', async () => {
    const { server, tier, other, prefix, key, tag, acquired } = ground();
    const foreign = `${tenantPrefix(server.namespace, 'c', 'other')}#devices`;
    const before = await acquired(tier, key, nextToken());
    const clock = await other.bumpTags([tag, foreign]);
    const versions = await tier.tagVersions([foreign, `${prefix}#none`, tag]);
    expect(versions[1]).toBeUndefined();
    for (const version of [versions[0] ?? 0, versions[2] ?? 0]) {
      expect(version).toBeGreaterThan(before);
      expect(version).toBeLessThanOrEqual(clock);
    }
    const after = await acquired(tier, `${key}:2`, nextToken());
    expect(after).toBeGreaterThanOrEqual(clock);
    expect(await tier.tagVersions([])).toEqual([]);
  });

  test('a tag that was evicted is unknown', async () => {
    const { server, tier, other, tag } = ground();
    await tier.bumpTags([tag]);
    await server.evict(tag);
    expect(await other.tagVersions([tag])).toEqual([undefined]);
  });

  test('its coherence tells every process of every change, once it is armed', async () => {
    const { tier, other, prefix, key, tag, acquired, stored } = ground();
    const coherence = other.coherence;
    if (coherence === undefined || coherence.mode === 'ttl') return;
    const heard = new Set<string>();
    let armed = false;
    const sink: CoherenceSink = {
      changed: (keys) => {
        for (const each of keys) heard.add(each);
      },
      changedAll: () => heard.add('all'),
      lost: () => {},
      armed: () => {
        armed = true;
      },
    };
    coherence.start(sink);
    await expect.poll(() => armed, { timeout: waitMs }).toBe(true);
    const changes: [string, () => Promise<unknown>][] = [
      [key, () => stored(key)],
      [key, () => tier.put(key, entryOf({}), 60_000)],
      [key, () => tier.expire([key])],
      [key, () => tier.delete([key])],
      [`${prefix}none`, () => tier.delete([`${prefix}none`])],
      [tag, () => tier.bumpTags([tag])],
    ];
    for (const [changed, change] of changes) {
      heard.clear();
      await change();
      await expect.poll(() => heard.has(changed) || heard.has('all'), { timeout: waitMs }).toBe(true);
    }
    if (!tier.capabilities.push) return;
    const token = nextToken();
    await acquired(tier, `${key}:waited`, token);
    heard.clear();
    await tier.release(`${key}:waited`, token);
    await expect.poll(() => heard.has(`${key}:waited`), { timeout: waitMs }).toBe(true);
  });
}
