import { globalPrefix, type RedisExecutor } from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  createPresence,
  ioredisExecutor,
  type OnlineMember,
  type Presence,
  type PresenceChange,
  type PresenceNews,
  type PresenceOptions,
} from '../../src/index.ts';
import { dueKey, presenceKeys } from '../../src/presence/presence-keys.ts';
import { ioredis, observe } from './clients.ts';
import { eventually } from './eventually.ts';
import { onEveryServer, withoutSubscriptions } from './on-every-server.ts';

interface Meta {
  readonly status: string;
}

const told = (change: PresenceChange<Meta>): string =>
  [
    change.type,
    change.device === undefined ? change.member : `${change.member}/${change.device}`,
    change.type === 'leave' ? change.reason : '',
    change.type !== 'update' && change.alone ? 'alone' : '',
  ]
    .filter((part) => part !== '')
    .join(' ');

/** Applies what a watcher is told, as a page would. */
class Follower {
  readonly news: PresenceNews<Meta>[] = [];
  readonly online = new Map<string, string>();
  version = 0;

  readonly hear = (news: PresenceNews<Meta>): void => {
    this.news.push(news);
    if (news.type === 'snapshot') {
      this.online.clear();
      for (const member of news.members) this.#set(member);
    } else {
      expect(news.changes[0]?.version).toBe(this.version + 1);
      for (const change of news.changes) {
        if (change.type === 'leave') this.online.delete(nameOf(change));
        else this.#set(change);
      }
    }
    this.version = news.version;
  };

  #set(member: OnlineMember<Meta>): void {
    this.online.set(nameOf(member), member.meta?.status ?? '');
  }
}

function nameOf({ member, device }: OnlineMember): string {
  return `${member}/${device ?? ''}`;
}

onEveryServer('createPresence()', (open, server, wakeUp) => {
  let namespace: string;
  let redis: RedisExecutor;
  let opened: Presence<Meta>[];
  let changes: string[];

  /** One more process; what it tells goes to `changes`, with those of the others. */
  function make(options: Partial<PresenceOptions> = {}): Presence<Meta> {
    const presence = createPresence<Meta>({ redis: open(), namespace, wakeUp, ttl: '5m', ...options });
    opened.push(presence);
    presence.onChange((change) => changes.push(told(change)));
    return presence;
  }

  beforeEach(() => {
    namespace = uniqueNamespace();
    redis = open();
    opened = [];
    changes = [];
  });
  afterEach(() => Promise.all(opened.map((presence) => presence.close())));

  it('every join and leave is told once, whoever of several processes notes it (PBX-12)', async () => {
    const [one, two, three] = [make(), make(), make()];
    const members = Array.from({ length: 20 }, (_, index) => `phone-${index}`);
    await Promise.all(
      members.flatMap((member) => [
        one.seen('acme', member),
        two.seen('acme', member),
        three.seen('acme', member),
      ]),
    );
    const joins = members.map((member) => `join ${member} alone`);
    expect([...changes].sort()).toEqual([...joins].sort());
    await two.leave('acme', 'phone-0');
    const leaves = members.map(
      (member) => `leave ${member} ${member === 'phone-0' ? 'leave' : 'timeout'} alone`,
    );
    // As if they had been seen five minutes earlier.
    const [online] = presenceKeys(namespace, 'acme');
    await redis.command('ZADD', online as string, 'XX', ...members.flatMap((member) => [1, member]));
    await redis.command('ZADD', dueKey(namespace), 1, 'acme');
    await eventually(() => changes.length).toBe(40);
    // Those who swept as well are given the time to say so.
    await expect.poll(() => two.count('acme')).toEqual({ members: 0, devices: 0 });
    expect([...changes].sort()).toEqual([...joins, ...leaves].sort());
  });

  it('one that keeps being seen does not keep the silent ones online (PBX-12)', async () => {
    const presence = make({ ttl: 2_000 });
    await presence.seen('acme', 'silent');
    await eventually(async () => {
      await presence.seen('acme', 'alive');
      return presence.online('acme');
    }).toEqual(['alive']);
    await eventually(async () => {
      await presence.seen('acme', 'alive');
      return changes;
    }).toContain('leave silent timeout alone');
    expect(changes.filter((change) => change.startsWith('leave'))).toEqual(['leave silent timeout alone']);
  });

  it('a member is away when the last of its devices has gone', async () => {
    const presence = make();
    expect(await presence.seen('acme', 'ann', { device: 'phone' })).toBe(true);
    expect(await presence.seen('acme', 'ann', { device: 'desk' })).toBe(false);
    expect(await presence.seen('acme', 'ann')).toBe(false);
    expect(await presence.seen('acme', 'bob')).toBe(true);
    expect(await presence.count('acme')).toEqual({ members: 2, devices: 4 });
    expect([...(await presence.online('acme'))].sort()).toEqual(['ann', 'bob']);
    expect(await presence.leave('acme', 'ann', { device: 'phone' })).toBe(true);
    expect(await presence.leave('acme', 'ann', { device: 'phone' })).toBe(false);
    expect(await presence.count('acme')).toEqual({ members: 2, devices: 3 });
    expect(await presence.leave('acme', 'ann')).toBe(true);
    expect(await presence.count('acme')).toEqual({ members: 1, devices: 1 });
    expect(await presence.leave('acme', 'bob')).toBe(true);
    expect(await presence.count('acme')).toEqual({ members: 0, devices: 0 });
    expect(changes.slice(0, 5)).toEqual([
      'join ann/phone alone',
      'join ann/desk',
      'join ann',
      'join bob alone',
      'leave ann/phone leave',
    ]);
    expect(changes.slice(5).sort()).toHaveLength(3);
    expect(changes.filter((change) => change.startsWith('leave') && change.endsWith('alone'))).toHaveLength(
      2,
    );
  });

  it('a member that has been there without a device and gets one counts once', async () => {
    const presence = make();
    await presence.seen('acme', 'ann');
    expect(await presence.seen('acme', 'ann', { device: 'phone' })).toBe(false);
    expect(await presence.count('acme')).toEqual({ members: 1, devices: 2 });
    await presence.leave('acme', 'ann', { device: 'phone' });
    expect(await presence.count('acme')).toEqual({ members: 1, devices: 1 });
    await presence.seen('acme', 'ann', { device: 'desk' });
    await presence.leave('acme', 'ann');
    expect(await presence.count('acme')).toEqual({ members: 0, devices: 0 });
  });

  it('what is said about a member is kept until something else is said', async () => {
    const presence = make();
    await presence.seen('acme', 'ann', { meta: { status: 'free' } });
    await presence.seen('acme', 'ann');
    await presence.seen('acme', 'ann', { meta: { status: 'free' } });
    await presence.seen('acme', 'ann', { meta: { status: 'busy' } });
    expect(changes).toEqual(['join ann alone', 'update ann']);
    expect((await presence.snapshot('acme')).members).toEqual([{ member: 'ann', meta: { status: 'busy' } }]);
    await presence.leave('acme', 'ann');
    await presence.seen('acme', 'ann');
    expect((await presence.snapshot('acme')).members).toEqual([{ member: 'ann' }]);
  });

  it('whoever comes back within the grace was never away', async () => {
    const presence = make({ grace: '1m' });
    const brief = make({ grace: 100 });
    await presence.seen('acme', 'ann');
    await presence.seen('acme', 'bob');
    expect(await presence.leave('acme', 'ann')).toBe(true);
    expect(await presence.online('acme')).toContain('ann');
    expect(await presence.seen('acme', 'ann')).toBe(false);
    expect(await brief.leave('acme', 'bob')).toBe(true);
    await eventually(() => changes).toContain('leave bob leave alone');
    expect(changes).toEqual(['join ann alone', 'join bob alone', 'leave bob leave alone']);
    expect(await presence.online('acme')).toEqual(['ann']);
  });

  it('the members of a process that dies leave soon, once, and those that came to another stay', async () => {
    const gone = open();
    const dying = createPresence<Meta>({ redis: gone, namespace, wakeUp, ttl: '5m', lease: 2_000 });
    const [one, two] = [make(), make()];
    await dying.hold('acme', 'ann', { device: 'tab' });
    await dying.hold('acme', 'bob', { device: 'tab' });
    await dying.hold('umbrella', 'eve', { device: 'tab' });
    await two.hold('acme', 'cid', { device: 'tab' });
    // As if it had been killed: nothing is said.
    await gone.close();
    await one.hold('acme', 'ann', { device: 'tab' });
    await eventually(() => changes.length).toBe(3);
    expect([...changes].sort()).toEqual([
      'join cid/tab alone',
      'leave bob/tab server-down alone',
      'leave eve/tab server-down alone',
    ]);
    expect([...(await one.online('acme'))].sort()).toEqual(['ann', 'cid']);
    await dying.close();
  });

  it('a process that was taken for dead and is not brings its members back', async () => {
    const presence = make({ lease: 300 });
    await presence.hold('acme', 'ann', { device: 'tab', meta: { status: 'free' } });
    const key = `${globalPrefix(namespace, 'p')}servers`;
    const [name] = (await redis.command('ZRANGE', key, 0, 0)) as string[];
    await redis.command('ZADD', key, 'XX', 1, name as string);
    await eventually(() => changes.length).toBeGreaterThanOrEqual(1);
    await eventually(() => presence.online('acme')).toEqual(['ann']);
    await redis.command('ZADD', key, 1, 'somebody-else');
    await eventually(() => redis.command('ZSCORE', key, 'somebody-else')).toBeNull();
    await eventually(async () => (await presence.snapshot('acme')).members).toEqual([
      { member: 'ann', device: 'tab', meta: { status: 'free' } },
    ]);
  });

  it('what is held stays for longer than its time without being seen, and goes when it is let go', async () => {
    const presence = make({ ttl: 2_400 });
    const held = await presence.hold('acme', 'ann');
    await held.update({ status: 'busy' });
    const began = Date.now();
    await eventually(async () => {
      expect(await presence.online('acme')).toEqual(['ann']);
      return Date.now() - began;
    }).toBeGreaterThan(4_000);
    expect(await held.leave()).toBe(true);
    expect(await held.leave()).toBe(false);
    expect(await presence.online('acme')).toEqual([]);
    expect(changes).toEqual([
      `join ann/${held.device} alone`,
      `update ann/${held.device}`,
      `leave ann/${held.device} leave alone`,
    ]);
  });

  it('close() lets go of everything at once', async () => {
    const leaving = createPresence<Meta>({ redis: open(), namespace, wakeUp, ttl: '5m' });
    const other = make();
    await Promise.all([
      leaving.hold('acme', 'ann'),
      leaving.hold('acme', 'ann'),
      leaving.hold('umbrella', 'bob'),
    ]);
    await leaving.close();
    expect(await other.count('acme')).toEqual({ members: 0, devices: 0 });
    expect(await other.online('umbrella')).toEqual([]);
  });

  it('a watcher gets everybody, then each change in order, and ends with what is true', async () => {
    const [one, two] = [make({ ttl: '1m' }), make({ ttl: '1m' })];
    await one.seen('acme', 'first', { meta: { status: 'free' } });
    const follower = new Follower();
    const end = await two.watch('acme', follower.hear);
    expect(follower.news).toMatchObject([
      { type: 'snapshot', members: [{ member: 'first', meta: { status: 'free' } }] },
    ]);
    const random = mulberry(7);
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 10 }, () => {
          const presence = random() < 0.5 ? one : two;
          const member = `m${Math.floor(random() * 6)}`;
          const device = random() < 0.3 ? undefined : `d${Math.floor(random() * 3)}`;
          const where = device === undefined ? {} : { device };
          if (random() < 0.4) return presence.leave('acme', member, where);
          const meta = random() < 0.5 ? { meta: { status: `s${Math.floor(random() * 3)}` } } : {};
          return presence.seen('acme', member, { ...where, ...meta });
        }),
      );
    }
    const { version, members } = await one.snapshot('acme');
    await eventually(() => follower.version).toBe(version);
    const truth = members.map((member) => [nameOf(member), member.meta?.status ?? ''] as const);
    expect([...follower.online].sort()).toEqual([...truth].sort());
    expect(await one.count('acme')).toEqual({
      members: new Set(members.map(({ member }) => member)).size,
      devices: members.length,
    });
    if (wakeUp === 'pubsub') {
      expect(follower.news.filter(({ type }) => type === 'changes').length).toBeGreaterThan(0);
    }
    end();
    const heard = follower.news.length;
    await one.seen('acme', 'late');
    expect(follower.news).toHaveLength(heard);
  });

  it('without subscriptions a watcher sees each new state', async () => {
    const presence = make({ redis: withoutSubscriptions(redis), wakeUp: 'poll' });
    const follower = new Follower();
    const end = await presence.watch('acme', follower.hear);
    await presence.seen('acme', 'ann');
    await eventually(() => [...follower.online.keys()]).toEqual(['ann/']);
    end();
  });

  it('leaves nothing behind that does not expire', async () => {
    const presence = make({ grace: '1m' });
    await presence.seen('acme', 'ann', { device: 'phone', meta: { status: 'free' } });
    await presence.hold('acme', 'bob');
    await presence.leave('acme', 'ann');
    for await (const page of redis.scan(`${namespace}:`)) {
      for (const key of page) expect(await redis.command('PTTL', key), key).toBeGreaterThan(0);
    }
  });

  if (server === 'standalone over ioredis 6') {
    it('a tenant that many come to and leave is forgotten when it is empty', async () => {
      const presence = make({ ttl: 200 });
      await Promise.all(Array.from({ length: 50 }, (_, index) => presence.seen(`tenant-${index}`, 'ann')));
      await eventually(() => changes.filter((change) => change.startsWith('leave')).length).toBe(50);
      await eventually(() => redis.command('ZCARD', `${globalPrefix(namespace, 'p')}due`)).toBe(0);
    });

    it('more members than one call drops all leave, each once', async () => {
      const presence = make({ ttl: 300 });
      await Promise.all(Array.from({ length: 1_500 }, (_, index) => presence.seen('acme', `m${index}`)));
      await eventually(() => new Set(changes.filter((change) => change.startsWith('leave'))).size).toBe(
        1_500,
      );
      const leaves = changes.filter((change) => change.startsWith('leave'));
      const joins = changes.filter((change) => change.startsWith('join'));
      expect(leaves.length).toBe(joins.length);
    });
  }
});

describe('createPresence()', () => {
  const [client] = ioredis as [(typeof ioredis)[0] & object];

  it('a watcher that lost its subscription gets everybody again, and misses nothing', async () => {
    const server = await startRedis({ own: true });
    const redis = ioredisExecutor(client.standalone(server.url), { commandTimeout: '5s' });
    const observer = observe(server.url);
    const presence = createPresence<Meta>({ redis, ttl: '5m' });
    try {
      const follower = new Follower();
      await presence.watch('acme', follower.hear);
      await presence.seen('acme', 'ann');
      await eventually(() => [...follower.online.keys()]).toEqual(['ann/']);
      expect(await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(1);
      await presence.seen('acme', 'bob');
      await eventually(() => [...follower.online.keys()].sort()).toEqual(['ann/', 'bob/']);
      // Redis forgets everything: what was true is true no longer.
      await redis.command('FLUSHALL');
      await presence.seen('acme', 'cid');
      await eventually(() => [...follower.online.keys()]).toEqual(['cid/']);
    } finally {
      await presence.close();
      await redis.close();
      observer.disconnect();
      await server.stop();
    }
  });

  it('a watcher whose server has lost changes and numbers others alike gets everybody again', async () => {
    const namespace = uniqueNamespace();
    const redis = ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '10s' });
    const observer = observe(inject('redisUrl'));
    const presence = createPresence<Meta>({ redis, namespace, ttl: '5m' });
    try {
      await presence.seen('acme', 'ann');
      const follower = new Follower();
      await presence.watch('acme', follower.hear);
      await presence.seen('acme', 'bob');
      await eventually(() => [...follower.online.keys()].sort()).toEqual(['ann/', 'bob/']);
      // As after a failover of a Cluster that keeps the subscription, because it is at another server.
      const [online, facts] = presenceKeys(namespace, 'acme');
      await observer.multi().zrem(online, 'bob').hincrby(facts, 'v', -1).exec();
      await presence.seen('acme', 'cid');
      await eventually(() => [...follower.online.keys()].sort()).toEqual(['ann/', 'cid/']);
    } finally {
      await presence.close();
      await redis.close();
      observer.disconnect();
    }
  });

  it('refuses options and names that are none', async () => {
    const redis = ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '5s' });
    expect(() => createPresence({ redis: withoutSubscriptions(redis), ttl: '5m' })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_BY_CLIENT' }),
    );
    for (const options of [
      { redis, ttl: '5m', grace: -1 },
      { redis, ttl: '5m', lease: 10 },
      { redis, ttl: '30d' },
      { redis, ttl: Number.NaN },
      { redis, ttl: '5m', wakeUp: 'push' },
    ]) {
      expect(() => createPresence(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    const presence = createPresence({ redis, ttl: '5m' });
    for (const [member, options] of [
      ['a\0b', {}],
      ['a', { device: '' }],
      ['a', { device: 'x\0' }],
      ['a', { meta: 1n }],
    ] as const) {
      await expect(presence.seen('acme', member, options)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    await redis.close();
  });
});

/** Numbers in [0, 1) that are the same in every run. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
