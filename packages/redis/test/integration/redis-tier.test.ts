import {
  createCache,
  newToken,
  type RedisExecutor,
  type RemoteEntry,
  type RemoteRead,
  type RemoteTier,
  type TierClock,
  tenantPrefix,
} from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis, type Observer, observe } from './clients.ts';
import { eventually } from './eventually.ts';

const random = Math.random;

function entry(payload: string, clock: TierClock, tags: readonly string[] = []): RemoteEntry {
  return {
    kind: 'value',
    clock,
    freshUntil: Date.now() + 60_000,
    version: newToken(random),
    loadMs: 5,
    tags,
    codec: 'j',
    payload,
  };
}

function payloadOf(read: RemoteRead | undefined): string | undefined {
  return read?.state === 'entry' ? read.entry.payload : undefined;
}

describe.each(ioredis)('the tier over $name', ({ standalone }) => {
  let redis: RedisExecutor;
  let tier: RemoteTier;
  let observer: Observer;
  let prefix: string;
  let key: string;
  let tag: string;

  beforeAll(() => {
    redis = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '5s' });
    observer = observe(inject('redisUrl'));
  });
  beforeEach(() => {
    const namespace = uniqueNamespace();
    tier = redisTier({ redis, namespace });
    prefix = tenantPrefix(namespace, 'c', 'acme');
    key = `${prefix}devices`;
    tag = `${prefix}#devices`;
  });
  afterAll(async () => {
    observer.disconnect();
    await redis.close();
  });

  async function begin(replaces?: string): Promise<{ token: string; clock: TierClock }> {
    const token = newToken(random);
    const asked = { key, token, leaseMs: 10_000, ...(replaces === undefined ? {} : { replaces }) };
    const acquired = await tier.acquire(asked);
    if (acquired.state !== 'acquired')
      throw new Error(`Expected to become the loader; got ${acquired.state}`);
    return { token, clock: acquired.clock };
  }

  async function load(payload: string, tags: readonly string[] = []): Promise<RemoteEntry> {
    const { token, clock } = await begin();
    const loaded = entry(payload, clock, tags);
    expect(await tier.commit({ key, token, entry: loaded, ttlMs: 60_000 })).toBe(true);
    return loaded;
  }

  async function read(): Promise<RemoteRead | undefined> {
    return (await tier.getMany([key]))[0];
  }

  describe('a load that was overtaken never lands', () => {
    const overtaking: Record<string, () => Promise<unknown>> = {
      'a delete': () => tier.delete([key]),
      'an expire': () => tier.expire([key]),
      'a put': () => tier.put(key, entry('newer', 0), 60_000),
      'a bump of its tag': () => tier.bumpTags([tag]),
      'a DEL of another client': () => observer.del(key),
      'a SET of another client': () => observer.set(key, 'foreign'),
      'a write of another type': async () => {
        await observer.del(key);
        await observer.lpush(key, 'foreign');
      },
      'the load of another process, once the lease has run out': async () => {
        await observer.pexpire(key, 0);
        await load('newer');
      },
      'a restart of Redis without its data': () => observer.del(key, tag),
    };
    it.each(Object.entries(overtaking))('by %s', async (_name, overtake) => {
      const { token, clock } = await begin();
      await overtake();
      const before = await observer.dump(key);
      const late = entry('old', clock, [tag]);
      expect(await tier.commit({ key, token, entry: late, ttlMs: 60_000 })).toBe(false);
      expect(payloadOf(await read())).not.toBe('old');
      const leaseGivenBack = _name === 'a bump of its tag';
      if (!leaseGivenBack) expect(await observer.dump(key)).toEqual(before);
    });

    it.each(Object.entries(overtaking))(
      'by %s, nor while an old entry stays readable',
      async (name, overtake) => {
        const old = await load('first', [tag]);
        const { token, clock } = await begin(old.version);
        expect(payloadOf(await read())).toBe('first');
        if (name.startsWith('the load of another')) {
          // The refresh lease is in the header; another refresher takes it over when it has run out.
          await observer.setrange(key, 53, '0'.repeat(13));
          const other = await begin(old.version);
          const newer = entry('newer', other.clock);
          expect(await tier.commit({ key, token: other.token, entry: newer, ttlMs: 60_000 })).toBe(true);
        } else {
          await overtake();
        }
        const late = entry('old', clock, [tag]);
        expect(await tier.commit({ key, token, entry: late, ttlMs: 60_000 })).toBe(false);
        expect(payloadOf(await read())).not.toBe('old');
      },
    );
  });

  it('lets one of many become the loader', async () => {
    const asked = Array.from({ length: 20 }, () =>
      tier.acquire({ key, token: newToken(random), leaseMs: 10_000 }),
    );
    const states = (await Promise.all(asked)).map(({ state }) => state).sort();
    expect(states).toEqual(['acquired', ...Array<string>(19).fill('leased')]);
    expect(await read()).toMatchObject({ state: 'leased' });
  });

  it('lets one of many refresh, while the old entry stays readable', async () => {
    const old = await load('first');
    const asked = Array.from({ length: 20 }, () =>
      tier.acquire({ key, token: newToken(random), leaseMs: 10_000, replaces: old.version }),
    );
    const states = (await Promise.all(asked)).map(({ state }) => state).sort();
    expect(states).toEqual(['acquired', ...Array<string>(19).fill('leased')]);
    expect(payloadOf(await read())).toBe('first');
  });

  it('shows a value that appeared meanwhile to one who wants to load', async () => {
    const loaded = await load('there');
    expect(await tier.acquire({ key, token: newToken(random), leaseMs: 1_000 })).toEqual({
      state: 'entry',
      entry: loaded,
    });
  });

  it('frees the key of a loader that died', async () => {
    await tier.acquire({ key, token: newToken(random), leaseMs: 30 });
    const again = (): Promise<{ state: string }> =>
      tier.acquire({ key, token: newToken(random), leaseMs: 10_000 });
    await eventually(async () => (await again()).state).toBe('acquired');
  });

  it('renews a lease for its holder, and never makes a new one', async () => {
    const { token, clock } = await begin();
    await observer.pexpire(key, 5_000);
    expect(await tier.renew(key, newToken(random), 20_000)).toBe(false);
    expect(await tier.renew(key, token, 20_000)).toBe(true);
    expect(await observer.pttl(key)).toBeGreaterThan(15_000);
    const loaded = entry('v', clock);
    expect(await tier.commit({ key, token, entry: loaded, ttlMs: 1_000 })).toBe(true);
    expect(await tier.renew(key, token, 20_000)).toBe(false);
    const refresh = await begin(loaded.version);
    expect(await tier.renew(key, refresh.token, 20_000)).toBe(true);
    expect(await observer.pttl(key)).toBeGreaterThan(15_000);
    expect(payloadOf(await read())).toBe('v');
    await tier.delete([key]);
    expect(await tier.renew(key, refresh.token, 20_000)).toBe(false);
    expect(await read()).toEqual({ state: 'absent' });
  });

  it('takes a refresh over from a process that died', async () => {
    const old = await load('v');
    const again = (leaseMs: number): Promise<{ state: string }> =>
      tier.acquire({ key, token: newToken(random), leaseMs, replaces: old.version });
    expect((await again(30)).state).toBe('acquired');
    await eventually(async () => (await again(10_000)).state).toBe('acquired');
  });

  it('gives a lease back to others, and only that of its holder', async () => {
    const { token } = await begin();
    await tier.release(key, newToken(random));
    expect(await read()).toMatchObject({ state: 'leased' });
    await tier.release(key, token);
    expect(await read()).toEqual({ state: 'absent' });
    const old = await load('v');
    const refresh = await begin(old.version);
    await tier.release(key, refresh.token);
    expect((await begin(old.version)).token).toBeDefined();
    expect(payloadOf(await read())).toBe('v');
  });

  it('does not let the lease of a refresh die with the old entry', async () => {
    const old = await load('v');
    await observer.pexpire(key, 100);
    await begin(old.version);
    expect(await observer.pttl(key)).toBeGreaterThan(5_000);
  });

  it('takes what is damaged, of another format or of another type for nothing, and loads over it', async () => {
    const good = await load('a payload', [tag]);
    const text = (await observer.get(key)) as string;
    const damaged: Record<string, () => Promise<unknown>> = {
      'no entry': () => observer.set(key, 'hello'),
      empty: () => observer.set(key, ''),
      'another format': () => observer.set(key, text.replace('C1', 'C2')),
      'an unknown kind': () => observer.set(key, text.replace('C1V', 'C1X')),
      'cut header': () => observer.set(key, text.slice(0, 40)),
      'cut tags': () => observer.set(key, text.slice(0, 80)),
      'letters in the clock': () =>
        observer.set(key, `${text.slice(0, 4)}${'x'.repeat(16)}${text.slice(20)}`),
      'no version': () => observer.set(key, text.replace(good.version, '..........')),
      'another type': () => observer.hset(key, 'field', 'value'),
    };
    for (const [name, damage] of Object.entries(damaged)) {
      await observer.del(key);
      await damage();
      expect((await read())?.state, name).toBe('absent');
      const { token, clock } = await begin();
      const again = entry('again', clock);
      expect(await tier.commit({ key, token, entry: again, ttlMs: 60_000 }), name).toBe(true);
      expect(payloadOf(await read()), name).toBe('again');
    }
  });

  it('never guards what readers take for nothing, wherever a character of it is damaged', async () => {
    await load('a payload', [tag]);
    const text = (await observer.get(key)) as string;
    const variants = [...text].flatMap((_, at) =>
      ['0', '9', 'X', '-', '.', ' ', 'ü'].map((wrong) => text.slice(0, at) + wrong + text.slice(at + 1)),
    );
    for (const variant of variants) {
      await observer.set(key, variant);
      const seen = await read();
      const asked = await tier.acquire({ key, token: newToken(random), leaseMs: 10_000 });
      if (seen?.state === 'absent') expect(asked.state, variant).toBe('acquired');
      else expect(asked.state, variant).not.toBe('leased');
    }
  });

  it('keeps an entry as it was given, for as long as asked', async () => {
    const payload = '{"ü":"\u0000\n\u001f","emoji":"📞"}';
    const given = await load(payload, [tag, `${prefix}#other`]);
    expect(await read()).toEqual({ state: 'entry', entry: given });
    const left = await observer.pttl(key);
    expect(left).toBeGreaterThan(50_000);
    expect(left).toBeLessThanOrEqual(60_000);
  });

  it('gives a put the clock of the server, whatever the clock of the process says', async () => {
    const clock = await tier.put(key, entry('v', 1), 60_000);
    const found = await read();
    expect(found).toMatchObject({ state: 'entry', entry: { clock, payload: 'v' } });
    expect(Math.abs(clock - (await tier.time()))).toBeLessThan(5_000_000);
    expect(await tier.delete([key])).toBeGreaterThan(clock);
    expect(await read()).toEqual({ state: 'absent' });
  });

  it('expires an entry: stale, readable, under another version, its refresh ended', async () => {
    const old = await load('v');
    const refresh = await begin(old.version);
    await tier.expire([key, `${prefix}absent`]);
    const found = await read();
    if (found?.state !== 'entry') throw new Error('Expected the entry');
    expect(found.entry).toEqual({ ...old, freshUntil: 0, version: found.entry.version });
    expect(found.entry.version).not.toBe(old.version);
    expect(await tier.touch(key, old.version, Date.now() + 1_000, 1_000)).toBe(false);
    expect(await tier.commit({ key, token: refresh.token, entry: old, ttlMs: 1_000 })).toBe(false);
    expect((await begin(found.entry.version)).token).toBeDefined();
  });

  it('prolongs an entry that was found unchanged, and ends its refresh', async () => {
    const old = await load('v');
    await observer.pexpire(key, 1_000);
    await begin(old.version);
    const freshUntil = Date.now() + 90_000;
    expect(await tier.touch(key, old.version, freshUntil, 120_000)).toBe(true);
    expect(await read()).toEqual({ state: 'entry', entry: { ...old, freshUntil } });
    expect(await observer.pttl(key)).toBeGreaterThan(100_000);
    expect((await begin(old.version)).token).toBeDefined();
    expect(await tier.touch(key, newToken(random), freshUntil, 120_000)).toBe(false);
    expect(await tier.touch(`${prefix}absent`, old.version, freshUntil, 120_000)).toBe(false);
  });

  describe('tags', () => {
    it('are unknown until an entry carries them or they are bumped', async () => {
      expect(await tier.tagVersions([tag, `${prefix}#other`])).toEqual([undefined, undefined]);
      const { clock } = await load('v', [tag]);
      const bumped = await tier.bumpTags([`${prefix}#other`]);
      expect(await tier.tagVersions([tag, `${prefix}#other`])).toEqual([clock, bumped]);
    });

    it('do not let loads that run side by side refuse each other, whichever ends first', async () => {
      const beside = `${prefix}calls`;
      const first = newToken(random);
      const second = newToken(random);
      const began = await tier.acquire({ key, token: first, leaseMs: 10_000, tags: [tag] });
      const later = await tier.acquire({ key: beside, token: second, leaseMs: 10_000, tags: [tag] });
      if (began.state !== 'acquired' || later.state !== 'acquired') throw new Error('Expected to load both');
      expect(await tier.tagVersions([tag])).toEqual([began.clock]);
      const entries = [entry('v', later.clock, [tag]), entry('v', began.clock, [tag])] as const;
      expect(await tier.commit({ key: beside, token: second, entry: entries[0], ttlMs: 1_000 })).toBe(true);
      expect(await tier.commit({ key, token: first, entry: entries[1], ttlMs: 1_000 })).toBe(true);
      const [version] = await tier.tagVersions([tag]);
      expect(version).toBeLessThanOrEqual(began.clock);
    });

    it('that were lost make older entries invalid, also when a load makes them known again', async () => {
      const old = await load('v', [tag]);
      await observer.del(tag);
      expect(await tier.tagVersions([tag])).toEqual([undefined]);
      await tier.acquire({ key: `${prefix}calls`, token: newToken(random), leaseMs: 10_000, tags: [tag] });
      const [version] = await tier.tagVersions([tag]);
      expect(version).toBeGreaterThan(old.clock);
    });

    it('bumped are newer than every load that began before, and older than every one after', async () => {
      const { clock: before } = await load('v', [tag]);
      const bumped = await tier.bumpTags([tag]);
      expect(bumped).toBeGreaterThan(before);
      expect(await tier.tagVersions([tag])).toEqual([bumped]);
      await tier.delete([key]);
      expect((await begin()).clock).toBeGreaterThanOrEqual(bumped);
    });

    it('always grow, also when the clock of the server went back', async () => {
      const future = (await tier.time()) + 3_600_000_000;
      await observer.set(tag, String(future));
      const bumped = await tier.bumpTags([tag]);
      expect(bumped).toBeGreaterThan(future);
      expect(await tier.put(key, entry('v', 0, [tag]), 60_000)).toBe(bumped);
      expect(await tier.bumpTags([tag])).toBeGreaterThan(bumped);
    });

    it('live at least as long as the entries that carry them', async () => {
      const { token, clock } = await begin();
      const long = 86_400_000;
      await tier.bumpTags([tag]);
      await tier.commit({ key, token, entry: entry('refused', clock, [tag]), ttlMs: long });
      const next = await begin();
      expect(
        await tier.commit({ key, token: next.token, entry: entry('v', next.clock, [tag]), ttlMs: long }),
      ).toBe(true);
      expect(await observer.pttl(tag)).toBeGreaterThan(long - 60_000);
      await tier.bumpTags([tag]);
      expect(await observer.pttl(tag)).toBeGreaterThan(long - 60_000);
      await tier.put(`${key}:short`, entry('v', 0, [tag]), 1_000);
      expect(await observer.pttl(tag)).toBeGreaterThan(long - 60_000);
    });

    it('that hold something else count as unknown', async () => {
      await observer.set(tag, 'foreign');
      await observer.lpush(`${prefix}#list`, 'x');
      expect(await tier.tagVersions([tag, `${prefix}#list`])).toEqual([undefined, undefined]);
      const { clock } = await load('v', [tag, `${prefix}#list`]);
      expect(await tier.tagVersions([tag, `${prefix}#list`])).toEqual([clock, clock]);
    });
  });

  describe('in one tick', () => {
    const beginMany = (from: number, to: number) =>
      Promise.all(
        Array.from({ length: to - from }, async (_, index) => {
          const token = newToken(random);
          const asked = { key: `${key}:${from + index}`, token, leaseMs: 10_000, tags: [tag] };
          return { ...asked, acquired: await tier.acquire(asked) };
        }),
      );

    it('loads begin in one call and end in one, and each is fenced for itself', async () => {
      const calls = vi.spyOn(redis, 'script');
      onTestFinished(() => calls.mockRestore());
      const begun = await beginMany(0, 50);
      expect(calls).toHaveBeenCalledTimes(1);
      await observer.del(`${key}:7`);
      await observer.set(`${key}:8`, 'foreign');
      await tier.put(`${key}:9`, entry('put', 0), 60_000);
      const overtaken = [7, 8, 9];
      calls.mockClear();
      const stored = await Promise.all(
        begun.map(async (one) => {
          if (one.acquired.state !== 'acquired') throw new Error('Expected to become the loader');
          const loaded = entry(`loaded ${one.key}`, one.acquired.clock, [tag]);
          return tier.commit({ key: one.key, token: one.token, entry: loaded, ttlMs: 60_000 });
        }),
      );
      expect(calls).toHaveBeenCalledTimes(1);
      expect(stored.map((done, index) => (done ? -1 : index)).filter((index) => index >= 0)).toEqual(
        overtaken,
      );
      const found = await tier.getMany(begun.map((one) => one.key));
      expect(found.map(payloadOf)).toEqual(
        begun.map((one, index) =>
          index === 9 ? 'put' : overtaken.includes(index) ? undefined : `loaded ${one.key}`,
        ),
      );
    });

    it('what is put travels in one call, ahead of all that is asked for later', async () => {
      // The server knows the scripts.
      await tier.put(key, entry('v', 0), 60_000);
      await tier.delete([key]);
      const now = await tier.time();
      const calls = vi.spyOn(redis, 'script');
      onTestFinished(() => calls.mockRestore());
      const keys = Array.from({ length: 50 }, (_, index) => `${key}:${index}`);
      const puts = keys.map((one) => tier.put(one, entry(`put ${one}`, now, [tag]), 60_000));
      const found = tier.getMany(keys);
      const clocks = await Promise.all(puts);
      expect(new Set(clocks).size).toBe(1);
      expect((await found).map(payloadOf)).toEqual(keys.map((one) => `put ${one}`));
      const later = [
        tier.put(keys[0] as string, entry('late', now), 60_000),
        tier.delete([keys[0] as string]),
      ];
      await Promise.all(later);
      expect(calls.mock.calls.map(([script]) => script.name)).toEqual(['put', 'put', 'delete']);
      expect((await tier.getMany(keys)).map(payloadOf)).toEqual([
        undefined,
        ...keys.slice(1).map((one) => `put ${one}`),
      ]);
      for (const clock of clocks) expect(clock).toBeGreaterThan(0);
    });

    it('a key asked for twice has one loader', async () => {
      const states = (await Promise.all([beginMany(0, 3), beginMany(0, 3)])).map((begun) =>
        begun.map(({ acquired }) => acquired.state),
      );
      expect(states).toEqual([Array(3).fill('acquired'), Array(3).fill('leased')]);
    });

    it('a tag bumped between refuses every load that carries it, and no other', async () => {
      const tagged = await beginMany(0, 5);
      const other = await begin();
      await tier.bumpTags([tag]);
      const commits = tagged.map((one) => {
        if (one.acquired.state !== 'acquired') throw new Error('Expected to become the loader');
        const late = entry('late', one.acquired.clock, [tag]);
        return tier.commit({ key: one.key, token: one.token, entry: late, ttlMs: 60_000 });
      });
      const beside = tier.commit({ key, token: other.token, entry: entry('v', other.clock), ttlMs: 60_000 });
      expect(await Promise.all([...commits, beside])).toEqual([false, false, false, false, false, true]);
    });

    it('what Redis refuses of one rejects that one alone', async () => {
      const [bad, good] = await beginMany(0, 2);
      if (bad?.acquired.state !== 'acquired' || good?.acquired.state !== 'acquired')
        throw new Error('no lease');
      const commit = (one: typeof bad, clock: number, ttlMs: number): Promise<boolean> =>
        tier.commit({ key: one.key, token: one.token, entry: entry('v', clock), ttlMs });
      // No server takes so late an end.
      const answers = await Promise.allSettled([
        commit(bad, bad.acquired.clock, Number.MAX_VALUE),
        commit(good, good.acquired.clock, 60_000),
      ]);
      expect(answers[0]).toMatchObject({ status: 'rejected', reason: { name: 'ReplyError' } });
      expect(answers[1]).toEqual({ status: 'fulfilled', value: true });
    });
  });

  it('scans the keys of one tenant only', async () => {
    await tier.put(key, entry('v', 0), 60_000);
    await tier.put(`${tenantPrefix('ns', 'c', 'acme2')}devices`, entry('v', 0), 60_000);
    const found: string[] = [];
    for await (const keys of tier.scan(prefix)) found.push(...keys);
    expect(found).toEqual([key]);
  });

  it('answers for no keys, and for more than one command takes', async () => {
    expect(await tier.getMany([])).toEqual([]);
    expect(await tier.tagVersions([])).toEqual([]);
    expect(await tier.delete([])).toBeGreaterThan(0);
    expect(await tier.bumpTags([])).toBeGreaterThan(0);
    const keys = Array.from({ length: 2_000 }, (_, index) => `${prefix}many:${index}`);
    await tier.put(keys[0] as string, entry('first', 0), 60_000);
    await tier.put(keys[1_999] as string, entry('last', 0), 60_000);
    const found = await tier.getMany(keys);
    expect(found.length).toBe(2_000);
    expect(payloadOf(found[0])).toBe('first');
    expect(payloadOf(found[1_999])).toBe('last');
    await tier.delete(keys);
    expect((await tier.getMany(keys)).every(({ state }) => state === 'absent')).toBe(true);
  });

  it('rejects an entry that the header cannot hold, and stores nothing', async () => {
    const { token, clock } = await begin();
    const wrong = { ...entry('v', clock), version: 'short' };
    await expect(tier.put(key, wrong, 1_000)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(tier.commit({ key, token, entry: wrong, ttlMs: 1_000 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await read()).toMatchObject({ state: 'leased' });
  });
});

describe('reads', () => {
  it('of one tick travel as one MGET', async () => {
    const server = await startRedis({ own: true });
    const observer = observe(server.url);
    const redis = ioredisExecutor((ioredis[0] as (typeof ioredis)[0]).standalone(server.url), {
      commandTimeout: '5s',
    });
    try {
      const tier = redisTier({ redis });
      await tier.put('k7', entry('seven', 0), 60_000);
      await observer.config('RESETSTAT');
      const deep = async (key: string, hops: number): Promise<RemoteRead | undefined> => {
        for (let hop = 0; hop < hops; hop++) await undefined;
        return (await tier.getMany([key]))[0];
      };
      const reads = await Promise.all([
        ...Array.from({ length: 50 }, (_, index) => deep(`k${index}`, index % 5)),
        tier.tagVersions(['t1', 't2']),
      ]);
      expect(payloadOf(reads[7] as RemoteRead)).toBe('seven');
      expect(reads[50]).toEqual([undefined, undefined]);
      expect(await observer.info('commandstats')).toContain('cmdstat_mget:calls=1,');
    } finally {
      await redis.close();
      observer.disconnect();
      await server.stop();
    }
  });
});

describe('very many keys and tags', () => {
  it('are invalidated some thousands at a time, so that none waits too long for its answer', async () => {
    const redis = ioredisExecutor((ioredis[0] as (typeof ioredis)[0]).standalone(inject('redisUrl')), {
      commandTimeout: '20s',
    });
    let underWay = 0;
    let most = 0;
    const counting: RedisExecutor = {
      capabilities: { cluster: false, subscribe: false },
      command: (name, ...args) => redis.command(name, ...args),
      async script(script, keys, args) {
        most = Math.max(most, ++underWay);
        const reply = await redis.script(script, keys, args);
        underWay--;
        return reply;
      },
      scan: (start) => redis.scan(start),
      subscriber: () => redis.subscriber(),
      close: () => redis.close(),
    };
    const namespace = uniqueNamespace();
    const tier = redisTier({ redis: counting, namespace, coherence: 'ttl' });
    const keys = Array.from({ length: 20_000 }, (_, index) => `${namespace}:c:${index}`);
    const last = keys.at(-1) as string;
    await tier.put(last, entry('last', 0), 60_000);
    await tier.delete(keys);
    expect((await tier.getMany([last]))[0]).toEqual({ state: 'absent' });
    const clock = await tier.bumpTags(keys);
    expect((await tier.tagVersions([last]))[0]).toBeLessThanOrEqual(clock);
    expect(most).toBe(16);
    await tier.delete(keys);
    await tier.close();
    await redis.close();
  });
});

describe('redisTier()', () => {
  it('refuses options that it does not know', () => {
    const redis = ioredisExecutor((ioredis[0] as (typeof ioredis)[0]).standalone('redis://127.0.0.1:1'));
    const wrong = [
      { redis, nameSpace: 'x' },
      { redis, namespace: 'a:b' },
      { redis, coherence: 'magic' },
      {},
      { redis: new Map() },
    ];
    for (const options of wrong) {
      expect(() => redisTier(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    const deaf: RedisExecutor = {
      ...redis,
      script: redis.script,
      capabilities: { cluster: false, subscribe: false },
    };
    const split: RedisExecutor = { ...deaf, capabilities: { cluster: true, subscribe: false } };
    for (const options of [{ redis: split }, { redis: deaf, coherence: 'pubsub' }] as const) {
      expect(() => redisTier(options)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_BY_CLIENT' }));
    }
    expect(redisTier({ redis: deaf }).coherence.mode).toBe('log');
    const mute: RedisExecutor = { ...deaf, capabilities: { cluster: false, subscribe: true } };
    expect(() => redisTier({ redis: mute, coherence: 'tracking' })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_BY_CLIENT' }),
    );
    expect(redisTier({ redis: mute }).coherence.mode).toBe('pubsub');
    expect(redisTier({ redis }).coherence.mode).toBe('tracking');
    expect(redisTier({ redis: deaf, coherence: 'ttl' }).capabilities.push).toBe(false);
  });

  it('serves the caches of its namespace alone: of keys of another one it would hear nothing', () => {
    const redis = ioredisExecutor((ioredis[0] as (typeof ioredis)[0]).standalone('redis://127.0.0.1:1'));
    for (const [namespace, remote] of [
      ['app', redisTier({ redis })],
      ['ck', redisTier({ redis, namespace: 'app' })],
    ] as const) {
      expect(() => createCache({ namespace, remote })).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    expect(createCache({ namespace: 'app', remote: redisTier({ redis, namespace: 'app' }) }).namespace).toBe(
      'app',
    );
  });
});
