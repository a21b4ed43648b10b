import { expect, test } from 'vitest';
import { tenantPrefix } from '../../keys/wire-key.ts';
import { entryOf, later, nextToken, type TierGround, waitMs } from './ground.ts';

/** Writes that ask nobody, and how long what they wrote stays. */
export function writes(ground: () => TierGround): void {
  test('an entry is gone after its time', async () => {
    const { key, stored, readOne } = ground();
    await stored(key, {}, 50);
    await expect.poll(() => readOne(key), { timeout: waitMs }).toEqual({ state: 'absent' });
  });

  test('put() stores whatever was there, with the clock of now, and makes its tags known', async () => {
    const { server, tier, other, key, tag, stored, readOne } = ground();
    await stored(key);
    const entry = entryOf({ clock: 1, tags: [tag], payload: '"put"' });
    const clock = await tier.put(key, entry, 60_000);
    expect(await readOne(key)).toEqual({ state: 'entry', entry: { ...entry, clock } });
    const [version] = await other.tagVersions([tag]);
    expect(version).toBeLessThanOrEqual(clock);
    await server.write(key, 'garbage');
    const next = entryOf({});
    const later = await tier.put(key, next, 60_000);
    expect(await readOne(key)).toEqual({ state: 'entry', entry: { ...next, clock: later } });
  });

  test('delete() removes keys of several tenants, also ones that are not there', async () => {
    const { server, other, prefix, key, stored } = ground();
    const foreign = `${tenantPrefix(server.namespace, 'c', 'other')}devices`;
    await stored(key);
    await stored(foreign);
    await other.delete([foreign, `${prefix}none`, key]);
    expect(await other.getMany([key, foreign])).toEqual([{ state: 'absent' }, { state: 'absent' }]);
  });

  test('expire() leaves the entry there, fresh no more', async () => {
    const { other, prefix, key, stored, readOne } = ground();
    const entry = await stored(key);
    await other.expire([key, `${prefix}none`]);
    // Another version, so that a load under way cannot prolong it as unchanged; a tier may also keep it.
    const version = expect.any(String);
    expect(await readOne(key)).toEqual({ state: 'entry', entry: { ...entry, freshUntil: 0, version } });
  });

  test('touch() prolongs the very version and no other', async () => {
    const { tier, prefix, key, stored, readOne } = ground();
    const entry = await stored(key, {}, 500);
    expect(await tier.touch(key, nextToken(), entry.freshUntil + 5, 60_000)).toBe(false);
    expect(await tier.touch(`${prefix}none`, entry.version, 1, 60_000)).toBe(false);
    expect(await tier.touch(key, entry.version, entry.freshUntil + 5, 60_000)).toBe(true);
    await later(700);
    const freshUntil = entry.freshUntil + 5;
    expect(await readOne(key)).toEqual({ state: 'entry', entry: { ...entry, freshUntil } });
  });
}
