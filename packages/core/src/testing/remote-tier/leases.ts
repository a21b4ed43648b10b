import { expect, test } from 'vitest';
import { encodeEntry, encodeLease } from '../../entry.ts';
import { entryOf, later, nextToken, refreshing, type TierGround, waitMs } from './ground.ts';

/** Leases: one process of all loads, and none that died keeps a key. */
export function leases(ground: () => TierGround): void {
  test('acquire() takes what looks like a lease and is none that anybody holds', async () => {
    const { server, tier, key, acquired, readOne } = ground();
    const now = Math.floor((await tier.time()) / 1_000);
    const forged = (until: number) => encodeLease({ token: nextToken(), clock: now * 1_000, until });
    for (const text of ['C1L'.padEnd(76, '0'), forged(now - 1), forged(now + 60_000), forged(now + 1e9)]) {
      await server.write(key, text);
      const token = nextToken();
      const clock = await acquired(tier, key, token);
      const entry = entryOf({ clock, version: token });
      expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(true);
      expect(await readOne(key)).toEqual({ state: 'entry', entry });
      // Neither does a refresh that would never end guard an entry.
      await server.write(key, refreshing(encodeEntry(entry), now + 1e9));
      const refresh = { key, token: nextToken(), leaseMs: 60_000, replaces: entry.version };
      expect(await tier.acquire(refresh)).toMatchObject({ state: 'acquired' });
      await tier.delete([key]);
    }
  });

  test('a lease says when it runs out', async () => {
    const { tier, key, acquired, readOne } = ground();
    const before = await tier.time();
    await acquired(tier, key, nextToken(), 60_000);
    const leftMs = ((await readOne(key)) as { until: number }).until - before / 1_000;
    expect(leftMs).toBeGreaterThan(59_000);
    expect(leftMs).toBeLessThan(90_000);
  });

  test('acquire() gives the lease of an absent key to one caller of many', async () => {
    const { tier, other, key, readOne } = ground();
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? tier : other).acquire({ key, token: nextToken(), leaseMs: 60_000 }),
      ),
    );
    expect(all.filter(({ state }) => state === 'acquired')).toHaveLength(1);
    expect(all.filter(({ state }) => state === 'leased')).toHaveLength(19);
    expect(await readOne(key)).toMatchObject({ state: 'leased' });
  });

  test('acquire() of a key that was not looked at takes it if it is absent, and else leaves it as it is', async () => {
    const { tier, other, key } = ground();
    const unseen = { key, leaseMs: 60_000, unseen: true } as const;
    const token = nextToken();
    expect(await tier.acquire({ ...unseen, token })).toMatchObject({ state: 'acquired' });
    expect(await other.acquire({ ...unseen, token: nextToken() })).toEqual({ state: 'leased' });
    await tier.release(key, token);
    await tier.put(key, entryOf({}), 60_000);
    expect(await other.acquire({ ...unseen, token: nextToken() })).toEqual({ state: 'leased' });
    expect((await tier.getMany([key]))[0]).toMatchObject({ state: 'entry' });
  });

  test('many loads that begin and end in one call are each on their own, answered in the order asked', async () => {
    const { server, tier, other, key, tag, acquired, stored, readOne } = ground();
    const asked = Array.from({ length: 150 }, (_, index) => ({
      key: `${key}:${index}`,
      token: nextToken(),
      leaseMs: 60_000,
      tags: index % 3 === 0 ? [tag] : [],
    }));
    const [free, leased, there, replaced, damaged] = asked.map((request) => request.key) as string[];
    await acquired(other, leased as string, nextToken());
    const present = await stored(there as string);
    const { version } = await stored(replaced as string);
    await server.write(damaged as string, 'garbage');
    const requests = asked.map((one, index) => (index === 3 ? { ...one, replaces: version } : one));
    const answers =
      (await tier.acquireMany?.(requests)) ??
      (await Promise.all(requests.map((request) => tier.acquire(request))));
    expect(answers.map((answer) => (answer instanceof Error ? answer : answer.state))).toEqual(
      asked.map((_, index) => (index === 1 ? 'leased' : index === 2 ? 'entry' : 'acquired')),
    );
    expect(answers[2]).toEqual({ state: 'entry', entry: present });
    await other.delete([free as string]);
    const commits = requests.map(({ key: at, token, tags }, index) => {
      const answer = answers[index];
      const clock = answer instanceof Error || answer?.state !== 'acquired' ? 0 : answer.clock;
      // One that no tier can write, which is nobody else's concern.
      const wrong = index === 5 ? { version: 'short' } : {};
      return { key: at, token, entry: entryOf({ clock, version: token, tags, ...wrong }), ttlMs: 60_000 };
    });
    const refused = (error: unknown) => error as Error;
    const stores =
      (await tier.commitMany?.(commits)) ??
      (await Promise.all(commits.map((commit) => tier.commit(commit).catch(refused))));
    expect(stores.map((store) => (store instanceof Error ? 'failed' : store))).toEqual(
      asked.map((_, index) => (index === 5 ? 'failed' : index > 2)),
    );
    expect(await readOne(free as string)).toMatchObject({ state: 'absent' });
    expect(await readOne(asked[149]?.key as string)).toEqual({ state: 'entry', entry: commits[149]?.entry });
  });

  test('acquire() gives an entry that appeared meanwhile', async () => {
    const { other, key, stored } = ground();
    const entry = await stored(key);
    expect(await other.acquire({ key, token: nextToken(), leaseMs: 60_000 })).toEqual({
      state: 'entry',
      entry,
    });
    expect(await other.acquire({ key, token: nextToken(), leaseMs: 60_000, replaces: nextToken() })).toEqual({
      state: 'entry',
      entry,
    });
  });

  test('acquire() of a refresh leaves the old entry readable, and only one refreshes', async () => {
    const { tier, other, key, stored, readOne } = ground();
    const entry = await stored(key);
    const token = nextToken();
    const request = { key, leaseMs: 60_000, replaces: entry.version };
    const refresh = await tier.acquire({ ...request, token });
    expect(refresh).toMatchObject({ state: 'acquired' });
    expect(refresh.state === 'acquired' && refresh.clock > entry.clock).toBe(true);
    expect(await other.acquire({ ...request, token: nextToken() })).toEqual({ state: 'leased' });
    expect(await readOne(key)).toEqual({ state: 'entry', entry });
    const next = entryOf({ clock: refresh.state === 'acquired' ? refresh.clock : 0, version: token });
    expect(await tier.commit({ key, token, entry: next, ttlMs: 60_000 })).toBe(true);
    expect(await readOne(key)).toEqual({ state: 'entry', entry: next });
  });

  test('a lease that has run out is given to the next, and the late load is refused', async () => {
    const { tier, other, key, acquired, readOne } = ground();
    const late = nextToken();
    const clock = await acquired(tier, key, late, 50);
    const token = nextToken();
    await expect
      .poll(async () => (await other.acquire({ key, token, leaseMs: 60_000 })).state, { timeout: waitMs })
      .toBe('acquired');
    const entry = entryOf({ clock, version: late });
    expect(await tier.commit({ key, token: late, entry, ttlMs: 60_000 })).toBe(false);
    expect(await readOne(key)).toMatchObject({ state: 'leased' });
  });

  test('the lease of a refresh that has run out is given to the next, and the late one is refused', async () => {
    const { tier, other, key, stored, readOne } = ground();
    const entry = await stored(key);
    const late = nextToken();
    const request = { key, replaces: entry.version };
    await tier.acquire({ ...request, token: late, leaseMs: 50 });
    const token = nextToken();
    await expect
      .poll(async () => (await other.acquire({ ...request, token, leaseMs: 60_000 })).state, {
        timeout: waitMs,
      })
      .toBe('acquired');
    const next = entryOf({ clock: entry.clock, version: late });
    expect(await tier.commit({ key, token: late, entry: next, ttlMs: 60_000 })).toBe(false);
    expect(await readOne(key)).toEqual({ state: 'entry', entry });
  });

  test('renew() keeps a lease, of a load and of a refresh, and never makes one', async () => {
    const { tier, other, key, acquired, stored, readOne } = ground();
    const token = nextToken();
    await acquired(tier, key, token, 200);
    expect(await tier.renew(key, token, 60_000)).toBe(true);
    expect(await tier.renew(key, nextToken(), 60_000)).toBe(false);
    await later(400);
    expect(await readOne(key)).toMatchObject({ state: 'leased' });
    await tier.delete([key]);
    expect(await tier.renew(key, token, 60_000)).toBe(false);
    expect(await readOne(key)).toEqual({ state: 'absent' });

    const entry = await stored(key);
    const refresher = nextToken();
    const request = { key, replaces: entry.version };
    await tier.acquire({ ...request, token: refresher, leaseMs: 200 });
    expect(await tier.renew(key, refresher, 60_000)).toBe(true);
    await later(400);
    const rival = { ...request, token: nextToken(), leaseMs: 60_000 };
    expect(await other.acquire(rival)).toEqual({ state: 'leased' });
    await tier.put(key, entryOf({}), 60_000);
    expect(await tier.renew(key, refresher, 60_000)).toBe(false);
  });

  test('release() gives a lease back, of a load and of a refresh, and only to its holder', async () => {
    const { tier, other, prefix, key, acquired, stored, readOne } = ground();
    const token = nextToken();
    await acquired(tier, key, token);
    await tier.release(key, nextToken());
    expect(await readOne(key)).toMatchObject({ state: 'leased' });
    await tier.release(key, token);
    expect(await readOne(key)).toEqual({ state: 'absent' });

    const entry = await stored(key);
    const request = { key, leaseMs: 60_000, replaces: entry.version };
    const refresher = nextToken();
    await tier.acquire({ ...request, token: refresher });
    await tier.release(key, refresher);
    expect(await readOne(key)).toEqual({ state: 'entry', entry });
    expect(await other.acquire({ ...request, token: nextToken() })).toMatchObject({ state: 'acquired' });
    await tier.release(`${prefix}none`, nextToken());
  });
}
