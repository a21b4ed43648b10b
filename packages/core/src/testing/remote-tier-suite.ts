import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeEntry, encodeLease, entryFields, withField } from '../entry.ts';
import { systemClock } from '../ports/clock.ts';
import type { CoherenceSink } from '../ports/coherence.ts';
import type { RemoteEntry, RemoteTier, TierClock } from '../ports/remote-tier.ts';
import { globalPrefix, tenantPrefix } from '../wire-key.ts';

/** A server and what plays processes on it, for one test. */
export interface RemoteTierFixture {
  /** The namespace that no other test uses. */
  readonly namespace: string;
  /** One more process: a tier of its own on the same server. */
  open(): RemoteTier;
  /** Writes any text at a key, as a foreign client might. */
  write(key: string, text: string): Promise<void>;
  /** Removes a key behind the back of the tier, as an eviction does. */
  evict(key: string): Promise<void>;
  /** Closes what the fixture opened; the tiers are closed before. */
  close(): Promise<void>;
}

const waitMs = 10_000;
let versions = 0;

/**
 * Checks every promise of the `RemoteTier` port on real tiers. Called at the top of a file of tests for vitest, which
 * is a peer dependency for this alone; time is real.
 *
 * @param name - Of the tier, for the name of the block.
 * @param fixture - Called before each test.
 */
export function remoteTierSuite(name: string, fixture: () => Promise<RemoteTierFixture>): void {
  describe(`remote tier: ${name}`, () => {
    let server: RemoteTierFixture;
    let opened: RemoteTier[];
    let tier: RemoteTier;
    let other: RemoteTier;
    let key: string;
    let prefix: string;
    let tag: string;

    beforeEach(async () => {
      server = await fixture();
      opened = [];
      tier = open();
      other = open();
      prefix = tenantPrefix(server.namespace, 'c', 'acme');
      key = `${prefix}devices`;
      tag = `${prefix}#devices`;
    });

    afterEach(async () => {
      for (const each of opened) {
        await each.coherence?.close();
        await each.close();
      }
      await server.close();
    });

    function open(): RemoteTier {
      const made = server.open();
      opened.push(made);
      return made;
    }

    async function acquired(of: RemoteTier, at: string, token: string, leaseMs = 60_000): Promise<TierClock> {
      const acquisition = await of.acquire({ key: at, token, leaseMs });
      expect(acquisition).toMatchObject({ state: 'acquired' });
      return acquisition.state === 'acquired' ? acquisition.clock : 0;
    }

    async function stored(at: string, over: Partial<RemoteEntry> = {}, ttlMs = 60_000): Promise<RemoteEntry> {
      const token = nextToken();
      const clock = await acquired(tier, at, token);
      const entry = entryOf({ clock, version: token, ...over });
      expect(await tier.commit({ key: at, token, entry, ttlMs })).toBe(true);
      return entry;
    }

    async function readOne(at: string, by: RemoteTier = other): Promise<unknown> {
      return (await by.getMany([at]))[0];
    }

    test('time() and every clock it returns grow, in microseconds', async () => {
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

    test('acquire() takes what looks like a lease and is none that anybody holds', async () => {
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
      const before = await tier.time();
      await acquired(tier, key, nextToken(), 60_000);
      const leftMs = ((await readOne(key)) as { until: number }).until - before / 1_000;
      expect(leftMs).toBeGreaterThan(59_000);
      expect(leftMs).toBeLessThan(90_000);
    });

    test('acquire() gives the lease of an absent key to one caller of many', async () => {
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
      const unseen = { key, leaseMs: 60_000, unseen: true } as const;
      const token = nextToken();
      expect(await tier.acquire({ ...unseen, token })).toMatchObject({ state: 'acquired' });
      expect(await other.acquire({ ...unseen, token: nextToken() })).toEqual({ state: 'leased' });
      await tier.release(key, token);
      await tier.put(key, entryOf({}), 60_000);
      expect(await other.acquire({ ...unseen, token: nextToken() })).toEqual({ state: 'leased' });
      expect((await tier.getMany([key]))[0]).toMatchObject({ state: 'entry' });
    });

    test('acquire() gives an entry that appeared meanwhile', async () => {
      const entry = await stored(key);
      expect(await other.acquire({ key, token: nextToken(), leaseMs: 60_000 })).toEqual({
        state: 'entry',
        entry,
      });
      expect(
        await other.acquire({ key, token: nextToken(), leaseMs: 60_000, replaces: nextToken() }),
      ).toEqual({ state: 'entry', entry });
    });

    test('acquire() of a refresh leaves the old entry readable, and only one refreshes', async () => {
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

    const overtaking: [string, () => Promise<unknown>][] = [
      ['delete()', () => other.delete([key])],
      ['put()', () => other.put(key, entryOf({}), 60_000)],
      ['expire()', () => other.expire([key])],
      ['bumpTags()', () => other.bumpTags([tag])],
      ['an eviction', () => server.evict(key)],
      ['a foreign write', () => server.write(key, 'garbage')],
    ];

    test.each(overtaking)('commit() of a load is refused after %s', async (_name, overtake) => {
      const token = nextToken();
      const clock = await acquired(tier, key, token);
      await overtake();
      const entry = entryOf({ clock, version: token, tags: [tag], payload: '"old"' });
      expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(false);
      expect(JSON.stringify(await readOne(key))).not.toContain('old');
      // Either way the lease is over: nobody waits for it.
      const again = await other.acquire({ key, token: nextToken(), leaseMs: 60_000 });
      expect(again.state).not.toBe('leased');
    });

    test.each(overtaking)('commit() of a refresh is refused after %s', async (_name, overtake) => {
      const before = await stored(key, { tags: [tag] });
      const token = nextToken();
      const refresh = await tier.acquire({ key, token, leaseMs: 60_000, replaces: before.version });
      await overtake();
      const clock = refresh.state === 'acquired' ? refresh.clock : 0;
      const entry = entryOf({ clock, version: token, tags: [tag], payload: '"old"' });
      expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(false);
      expect(JSON.stringify(await readOne(key))).not.toContain('old');
      const replaces = before.version;
      const again = await other.acquire({ key, token: nextToken(), leaseMs: 60_000, replaces });
      expect(again.state).not.toBe('leased');
    });

    test('commit() is refused when a tag of no slot of the entry was bumped', async () => {
      const shared = `${globalPrefix(server.namespace, 'c')}#*`;
      const token = nextToken();
      const clock = await acquired(tier, key, token);
      await other.bumpTags([shared]);
      const entry = entryOf({ clock, version: token, tags: [tag, shared] });
      expect(await tier.commit({ key, token, entry, ttlMs: 60_000 })).toBe(false);
      expect(await readOne(key)).toEqual({ state: 'absent' });
    });

    test('commit() makes the tags of its entry known, and none newer than they were', async () => {
      const shared = `${globalPrefix(server.namespace, 'c')}#*`;
      expect(await other.tagVersions([tag, shared])).toEqual([undefined, undefined]);
      const entry = await stored(key, { tags: [tag, shared] });
      expect(await other.tagVersions([shared, tag])).toEqual([entry.clock, entry.clock]);
      await stored(`${key}:2`, { tags: [tag, shared] });
      expect(await other.tagVersions([tag, shared])).toEqual([entry.clock, entry.clock]);
    });

    test('acquire() makes the tags of the entry to come known: loads that share a new tag do not refuse each other', async () => {
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

    test('an entry is gone after its time', async () => {
      await stored(key, {}, 50);
      await expect.poll(() => readOne(key), { timeout: waitMs }).toEqual({ state: 'absent' });
    });

    test('put() stores whatever was there, with the clock of now, and makes its tags known', async () => {
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
      const foreign = `${tenantPrefix(server.namespace, 'c', 'other')}devices`;
      await stored(key);
      await stored(foreign);
      await other.delete([foreign, `${prefix}none`, key]);
      expect(await other.getMany([key, foreign])).toEqual([{ state: 'absent' }, { state: 'absent' }]);
    });

    test('expire() leaves the entry there, fresh no more', async () => {
      const entry = await stored(key);
      await other.expire([key, `${prefix}none`]);
      // Another version, so that a load under way cannot prolong it as unchanged; a tier may also keep it.
      const version = expect.any(String);
      expect(await readOne(key)).toEqual({ state: 'entry', entry: { ...entry, freshUntil: 0, version } });
    });

    test('touch() prolongs the very version and no other', async () => {
      const entry = await stored(key, {}, 500);
      expect(await tier.touch(key, nextToken(), entry.freshUntil + 5, 60_000)).toBe(false);
      expect(await tier.touch(`${prefix}none`, entry.version, 1, 60_000)).toBe(false);
      expect(await tier.touch(key, entry.version, entry.freshUntil + 5, 60_000)).toBe(true);
      await later(700);
      const freshUntil = entry.freshUntil + 5;
      expect(await readOne(key)).toEqual({ state: 'entry', entry: { ...entry, freshUntil } });
    });

    test('bumpTags() makes tags of several tenants newer than every load that began before', async () => {
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
      await tier.bumpTags([tag]);
      await server.evict(tag);
      expect(await other.tagVersions([tag])).toEqual([undefined]);
    });

    test('scan() finds the keys of a literal prefix and no other', async () => {
      for (let index = 0; index < 250; index++) await tier.put(`${prefix}many:${index}`, entryOf({}), 60_000);
      await tier.put(`${tenantPrefix(server.namespace, 'c', 'acm*')}many:1`, entryOf({}), 60_000);
      const wild = `${tenantPrefix(server.namespace, 'c', 'a?[c')}many:1`;
      await tier.put(wild, entryOf({}), 60_000);
      const found = new Set<string>();
      for await (const keys of other.scan(`${prefix}many:`)) for (const each of keys) found.add(each);
      expect(found.size).toBe(250);
      expect(found.has(wild)).toBe(false);
    });

    test('its coherence tells every process of every change, once it is armed', async () => {
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

    test('close() ends once, and twice', async () => {
      await tier.time();
      await tier.close();
      await tier.close();
    });
  });
}

function entryOf(over: Partial<RemoteEntry>): RemoteEntry {
  return {
    kind: 'value',
    clock: 1_750_000_000_000_000,
    freshUntil: 1_750_000_060_000,
    version: nextToken(),
    loadMs: 5,
    tags: [],
    codec: 'J',
    payload: '{"id":1}',
    ...over,
  };
}

/** The text of an entry, with a refresh on it that ends then. */
function refreshing(text: string, until: number): string {
  return withField(withField(text, entryFields.refreshToken, nextToken()), entryFields.refreshUntil, until);
}

/** Differs from every other of this run, and from those of a run before by its length in time. */
function nextToken(): string {
  return `t${String(versions++).padStart(9, '0')}`;
}

/** Real time passes: what is tested is that something is still there after its old end. */
function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.setTimeout(() => resolve(), ms);
  });
}
