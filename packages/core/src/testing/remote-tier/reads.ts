import { expect, test } from 'vitest';
import { encodeEntry } from '../../entry.ts';
import { globalPrefix, tenantPrefix } from '../../keys/wire-key.ts';
import { entryOf, nextToken, type TierGround } from './ground.ts';

/** Reads: what is there, in the order asked. */
export function reads(ground: () => TierGround): void {
  test('time() and every clock it returns grow, in microseconds', async () => {
    const { tier, other, key, tag, acquired } = ground();
    const clocks = [
      await tier.time(),
      await acquired(other, key, nextToken()),
      await tier.delete([key]),
      await other.bumpTags([tag]),
      await tier.put(key, entryOf({}), 60_000),
      await other.expire([key]),
      await tier.time(),
    ];
    for (const [index, clock] of clocks.entries()) {
      expect(Number.isSafeInteger(clock)).toBe(true);
      expect(clock).toBeGreaterThan(clocks[index - 1] ?? 1e15);
    }
  });

  test('getMany() answers in the order asked, for keys of several tenants, and for none', async () => {
    const { server, tier, other, prefix, key, acquired, stored } = ground();
    const there = await stored(key);
    const foreign = `${tenantPrefix(server.namespace, 'c', 'other')}devices`;
    const shared = `${globalPrefix(server.namespace, 'c')}rates`;
    const elsewhere = await stored(foreign);
    await acquired(tier, shared, nextToken());
    expect(await other.getMany([foreign, `${prefix}none`, key, shared, key])).toEqual([
      { state: 'entry', entry: elsewhere },
      { state: 'absent' },
      { state: 'entry', entry: there },
      { state: 'leased', until: expect.any(Number) },
      { state: 'entry', entry: there },
    ]);
    expect(await other.getMany([])).toEqual([]);
  });

  test('gives back every kind of entry as it was stored', async () => {
    const { prefix, key, tag, stored, readOne } = ground();
    for (const [index, over] of [
      { payload: '{"name":"Zoë 🙂","text":"\\u0000\\n"}' },
      { kind: 'negative' as const, payload: 'null' },
      { kind: 'error' as const, payload: '"no"', loadMs: 1_234 },
      { tags: [tag, `${prefix}#calls`], payload: '' },
      { codec: 'm', payload: 'x'.repeat(100_000) },
    ].entries()) {
      const entry = await stored(`${key}:${index}`, over);
      expect(await readOne(`${key}:${index}`)).toEqual({ state: 'entry', entry });
    }
  });

  test('takes what is no entry for absent and damaged, and lets it be loaded', async () => {
    const { server, tier, key, acquired, readOne } = ground();
    for (const text of ['', 'garbage', '{"value":1}', 'C1V', encodeEntry(entryOf({})).slice(0, 60)]) {
      await server.write(key, text);
      expect(await readOne(key)).toEqual({ state: 'absent', damaged: true });
      const token = nextToken();
      const clock = await acquired(tier, key, token);
      const entry = entryOf({ clock, version: token });
      expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(true);
      expect(await readOne(key)).toEqual({ state: 'entry', entry });
      await tier.delete([key]);
    }
  });

  test('scan() finds the keys of a literal prefix and no other', async () => {
    const { server, tier, other, prefix } = ground();
    for (let index = 0; index < 250; index++) await tier.put(`${prefix}many:${index}`, entryOf({}), 60_000);
    await tier.put(`${tenantPrefix(server.namespace, 'c', 'acm*')}many:1`, entryOf({}), 60_000);
    const wild = `${tenantPrefix(server.namespace, 'c', 'a?[c')}many:1`;
    await tier.put(wild, entryOf({}), 60_000);
    const found = new Set<string>();
    for await (const keys of other.scan(`${prefix}many:`)) for (const each of keys) found.add(each);
    expect(found.size).toBe(250);
    expect(found.has(wild)).toBe(false);
  });

  test('close() ends once, and twice', async () => {
    const { tier } = ground();
    await tier.time();
    await tier.close();
    await tier.close();
  });
}
