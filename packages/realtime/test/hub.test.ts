import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createHub,
  createMemoryLog,
  type EventLog,
  type Hub,
  type HubOptions,
  type HubStream,
  type LogFollower,
  type LogPosition,
} from '../src/index.ts';
import { type CollectingSink, collectingSink, eventually, seeded, upTo } from './collect.ts';

vi.setConfig({ testTimeout: 60_000 });

const opened: Hub[] = [];

function newHub(options: Partial<HubOptions> = {}): Hub {
  const hub = createHub({ log: createMemoryLog(), random: seeded(1), ...options });
  opened.push(hub);
  return hub;
}

async function open(
  hub: Hub,
  {
    tenant = 'a',
    sink = collectingSink(),
    ...rest
  }: { tenant?: string; sink?: CollectingSink; lastEventId?: string } = {},
) {
  const admission = await hub.connect({ tenant, sink, ...rest });
  if (admission.state !== 'open') throw new Error(`refused: ${admission.reason}`);
  return { sink, stream: admission.stream };
}

const event = (data: unknown, tenant: string | undefined = 'a') => ({ type: 'changed', tenant, data });
const offsets = (sink: CollectingSink) => sink.received().map(({ offset }) => offset);
const data = (sink: CollectingSink) => sink.received().map((each) => each.data);

afterEach(async () => {
  vi.useRealTimers();
  for (const hub of opened.splice(0)) await hub.close();
});

describe('createHub()', () => {
  it('delivers what is published to every stream of the tenant and to no other tenant', async () => {
    const hub = newHub();
    const [one, two, other] = await Promise.all([open(hub), open(hub), open(hub, { tenant: 'b' })]);
    expect(await hub.publish([event(1), event(2), event('other', 'b')])).toEqual({
      appended: 3,
      repeated: 0,
    });
    for (const { sink } of [one, two])
      expect(sink.received()).toEqual([
        { offset: 1, data: 1 },
        { offset: 2, data: 2 },
      ]);
    expect(data(other.sink)).toEqual(['other']);
  });

  it('begins a stream with where it is, where the log is and how often it beats', async () => {
    const hub = newHub({ heartbeat: '20s' });
    await hub.publish([event(1), event(2)]);
    const { sink } = await open(hub);
    const [hello] = sink.events;
    expect(hello?.type).toBe('ck.hello');
    expect(JSON.parse(hello?.data ?? '')).toMatchObject({ offset: 2, head: 2, heartbeatMs: 20_000 });
    expect(hello?.id).toMatch(/^[0-9a-z]{20}\.2$/);
    expect(hello?.id).toBe(await hub.position('a'));
  });

  it('RC-10 brings first what was missed and then live events, from the log and from memory', async () => {
    const log = createMemoryLog();
    const hub = newHub({ log });
    await hub.publish(upTo(3).map((n) => event(n)));
    const { epoch } = await log.position('a');
    const { sink: fromLog } = await open(hub, { lastEventId: `${epoch}.1` });
    await hub.publish([event(4)]);
    await eventually(() => expect(data(fromLog)).toEqual([2, 3, 4]));
    const { sink: fromRing } = await open(hub, { lastEventId: `${epoch}.3` });
    expect(data(fromRing)).toEqual([4]);
    expect(fromLog.gaps()).toEqual([]);
  });

  it.each([
    ['garbage', '../../etc', 'position'],
    ['a number without an epoch', '17', 'position'],
    ['a number that no log reaches', `abc.${'9'.repeat(40)}`, 'position'],
    ['a line break', 'abc.1\ndata: x', 'position'],
    ['another epoch', 'abc.1', 'epoch'],
  ])('answers %s as a position with a gap and the present position', async (_, lastEventId, reason) => {
    const hub = newHub();
    await hub.publish([event(1)]);
    const { sink } = await open(hub, { lastEventId });
    await hub.publish([event(2)]);
    expect(sink.gaps()).toEqual([reason]);
    expect(sink.events.find(({ type }) => type === 'ck.gap')?.id).toMatch(/\.1$/);
    expect(data(sink)).toEqual([2]);
  });

  it('refuses the position of tenant A for tenant B with a gap and shows nothing of A', async () => {
    const hub = newHub();
    await hub.publish([event('secret', 'a'), event('own', 'b')]);
    const ofA = await hub.position('a');
    const { sink } = await open(hub, { tenant: 'b', lastEventId: ofA.replace('.1', '.0') });
    expect(sink.gaps()).toEqual(['epoch']);
    expect(data(sink)).toEqual([]);
  });

  it('answers a position beyond the end with a gap and not with silence', async () => {
    const hub = newHub();
    await hub.publish([event(1)]);
    const { sink } = await open(hub, { lastEventId: (await hub.position('a')).replace(/1$/, '99') });
    expect(sink.gaps()).toEqual(['epoch']);
  });

  it('takes the position that another instance told before its own message has come', async () => {
    const log = deafLog();
    const [one, two] = [newHub({ log }), newHub({ log })];
    await open(two);
    log.deaf = true;
    await one.publish([event(1), event(2)]);
    const { sink } = await open(two, { lastEventId: await one.position('a') });
    log.deaf = false;
    await one.publish([event(3)]);
    await eventually(() => expect(data(sink)).toEqual([3]));
    expect(sink.gaps()).toEqual([]);
  });

  it('gives a gap where more was missed than is replayed or kept', async () => {
    const log = createMemoryLog({ length: 20 });
    const hub = newHub({ log, replay: 10 });
    const start = await hub.position('a');
    await hub.publish(upTo(11).map((n) => event(n)));
    const tooMuch = await open(hub, { lastEventId: start });
    expect(tooMuch.sink.gaps()).toEqual(['limit']);
    const wide = newHub({ log });
    await hub.publish(upTo(60).map((n) => event(n)));
    const trimmed = await open(wide, { lastEventId: start });
    await eventually(() => expect(trimmed.sink.gaps()).toEqual(['trimmed']));
    await hub.publish([event('next')]);
    await eventually(() => expect(data(trimmed.sink)).toEqual(['next']));
  });

  it('sends an event to every tenant when it belongs to none, those away included', async () => {
    const hub = newHub();
    const { sink } = await open(hub);
    const away = await hub.position('b');
    await hub.publish([event(1), { type: 'notice', data: 'all' }, event(2)]);
    expect(data(sink)).toEqual([1, 'all', 2]);
    const { sink: back } = await open(hub, { tenant: 'b', lastEventId: away });
    await eventually(() => expect(data(back)).toEqual(['all']));
  });

  it('tells of a gap those who listen and those who come back', async () => {
    const hub = newHub();
    const { sink } = await open(hub);
    const away = await hub.position('b');
    await hub.gap({ clock: 7 });
    expect(sink.gaps()).toEqual(['source']);
    const { sink: back } = await open(hub, { tenant: 'b', lastEventId: away });
    await eventually(() => expect(back.gaps()).toEqual(['source']));
    expect(JSON.parse(back.events.at(-1)?.data ?? '')).toEqual({ clock: 7, data: { reason: 'source' } });
  });

  it('sends what was published in one turn as one chunk', async () => {
    const hub = newHub();
    const { sink } = await open(hub);
    const before = sink.chunks;
    await Promise.all(upTo(10).map((n) => hub.publish([event(n)])));
    expect(data(sink)).toEqual(upTo(10));
    expect(sink.chunks - before).toBe(1);
  });

  it('refuses what cannot be sent, and then appends nothing of the call', async () => {
    const hub = newHub();
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    for (const bad of [
      { type: 'ck.gap', tenant: 'a', data: 1 },
      { type: 'a\nid: 9', tenant: 'a', data: 1 },
      { type: 'x', tenant: '', data: 1 },
      { type: 'x', tenant: 'a', data: circular },
      { type: 'x', tenant: 'a', data: 1n },
      { type: 'x', tenant: 'a', data: 'x'.repeat(1_000_001) },
    ]) {
      await expect(hub.publish([event(1), bad])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(await hub.position('a')).toMatch(/\.0$/);
  });

  it.each([
    [{ heartbeat: 0 }],
    [{ replay: 0 }],
    [{ limits: { streams: -1 } }],
    [{ limits: { tenants: 1 } as never }],
    [{ queue: { bytes: 1.5 } }],
    [{ hartbeat: 3 } as never],
    [{ log: {} as never }],
  ])('refuses the options %o', (options) => {
    expect(() => newHub(options)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});

describe('a slow consumer', () => {
  it('costs a bounded queue and loses nothing', async () => {
    const hub = newHub({ queue: { bytes: 2_000 }, replay: 5_000 });
    const slow = await open(hub, { sink: collectingSink(2_000) });
    const fast = await open(hub);
    for (let n = 1; n <= 1_000; n += 1) await hub.publish([event(n)]);
    expect(data(fast.sink)).toEqual(upTo(1_000));
    expect(slow.sink.bytes).toBeLessThan(2_300);
    expect(hub.metrics().behind).toBe(1);
    while (offsets(slow.sink).at(-1) !== 1_000) {
      const before = slow.sink.bytes;
      slow.sink.setRoom(2_000);
      slow.stream.drained();
      await eventually(() => expect(slow.sink.bytes).toBeGreaterThan(before));
    }
    expect(offsets(slow.sink)).toEqual(upTo(1_000));
    slow.sink.setRoom(10_000);
    slow.stream.drained();
    await eventually(() => expect(hub.metrics().behind).toBe(0));
    await hub.publish([event(1_001)]);
    expect(offsets(slow.sink).at(-1)).toBe(1_001);
    expect(slow.sink.gaps()).toEqual([]);
  });

  it('gets a gap when the log has gone on without it', async () => {
    const hub = newHub({ log: createMemoryLog({ length: 5 }), queue: { bytes: 500 }, replay: 5_000 });
    const slow = await open(hub, { sink: collectingSink(500) });
    // More than the frames kept in memory, too.
    for (let n = 1; n <= 600; n += 1) await hub.publish([event(n)]);
    slow.sink.setRoom(1_000_000);
    slow.stream.drained();
    await eventually(() => expect(slow.sink.gaps()).toEqual(['trimmed']));
    await hub.publish([event('next')]);
    expect(data(slow.sink).at(-1)).toBe('next');
  });

  it('gets a batch larger than its queue piece by piece', async () => {
    const hub = newHub({ queue: { bytes: 1_000 } });
    const slow = await open(hub, { sink: collectingSink(1_000) });
    await hub.publish(upTo(200).map((n) => event(n)));
    expect(slow.sink.bytes).toBeLessThan(1_200);
  });

  it.each([0, ...upTo(7)])(
    'is not forgotten when it makes room %i turns after its queue was full',
    async (turns) => {
      const hub = newHub({ queue: { bytes: 300 }, replay: 5_000 });
      const inner = collectingSink(300);
      let stream: HubStream | undefined;
      const sink: CollectingSink = {
        ...inner,
        events: inner.events,
        get room() {
          return inner.room;
        },
        write(chunk) {
          inner.write(chunk);
          if (inner.room > 0) return;
          void pass(turns).then(() => {
            inner.setRoom(300);
            stream?.drained();
          });
        },
      };
      stream = (await open(hub, { sink })).stream;
      await hub.publish(upTo(300).map((n) => event(n)));
      await eventually(() => expect(offsets(inner)).toEqual(upTo(300)));
    },
  );

  it('is told of a gap that the room met while it was behind, also when the log went back in time', async () => {
    const log = deafLog();
    const hub = newHub({ log, queue: { bytes: 300 } });
    const { sink, stream } = await open(hub, { sink: collectingSink(300) });
    await open(hub);
    await hub.publish(upTo(20).map((n) => event(n)));
    const { epoch } = await log.position('a');
    const reached = offsets(sink).at(-1) ?? 0;
    log.rewound = { epoch, offset: reached - 2 };
    for (const follower of log.followers) follower.restored();
    await eventually(() => expect(hub.metrics().gaps).toBe(1));
    sink.setRoom(10_000);
    stream.drained();
    await eventually(() => expect(sink.gaps()).toEqual(['epoch']));
  });

  it('gets a gap when the log is shorter than what was already told of it', async () => {
    const log = createMemoryLog();
    const hub = newHub({
      log: {
        ...log,
        readAfter: async (tenant) => ({ state: 'rows', rows: [], top: await log.position(tenant) }),
      },
      queue: { bytes: 300 },
    });
    const { sink, stream } = await open(hub, { sink: collectingSink(300) });
    // More than the frames kept in memory.
    for (let n = 1; n <= 400; n += 1) await hub.publish([event(n)]);
    sink.setRoom(10_000);
    stream.drained();
    await eventually(() => expect(sink.gaps()).toEqual(['epoch']));
  });

  describe('on a clock', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });

    it('is cut when it takes nothing for too long, and everything of it is freed', async () => {
      const hub = newHub({ queue: { bytes: 500, stall: '30s' }, heartbeat: '15s' });
      const { sink } = await open(hub, { sink: collectingSink(500) });
      await hub.publish(upTo(50).map((n) => event(n)));
      await vi.advanceTimersByTimeAsync(29_000);
      expect(sink.aborted).toBe(false);
      await vi.advanceTimersByTimeAsync(31_000);
      expect(sink.aborted).toBe(true);
      expect(hub.metrics()).toMatchObject({ connections: 0, tenants: 0, stalled: 1 });
      expect(vi.getTimerCount()).toBe(0);
    });

    it('is cut as early when the time of day is set back meanwhile', async () => {
      const hub = newHub({ queue: { bytes: 500, stall: '30s' }, heartbeat: '15s' });
      const { sink } = await open(hub, { sink: collectingSink(500) });
      await hub.publish(upTo(50).map((n) => event(n)));
      vi.setSystemTime(Date.now() - 3_600_000);
      await vi.advanceTimersByTimeAsync(61_000);
      expect(sink.aborted).toBe(true);
    });

    it('beats on every stream, with a frame that every client sees', async () => {
      const hub = newHub({ heartbeat: '15s' });
      const { sink } = await open(hub);
      await vi.advanceTimersByTimeAsync(45_500);
      expect(sink.events.filter(({ type }) => type === 'ck.beat')).toHaveLength(3);
    });

    it('finds a lost last message without another one coming', async () => {
      const log = deafLog();
      const hub = newHub({ log, heartbeat: '10s' });
      const { sink } = await open(hub);
      log.deaf = true;
      await hub.publish([event(1)]);
      expect(data(sink)).toEqual([]);
      await vi.advanceTimersByTimeAsync(11_000);
      expect(data(sink)).toEqual([1]);
    });

    it('ends a stream when its authentication ends', async () => {
      const hub = newHub();
      const sink = collectingSink();
      await hub.connect({ tenant: 'a', sink, expiresAt: Date.now() + 5_000 });
      await vi.advanceTimersByTimeAsync(4_900);
      expect(sink.ended).toBe(false);
      await vi.advanceTimersByTimeAsync(200);
      expect(sink.ended).toBe(true);
      expect(sink.events.at(-1)).toMatchObject({ type: 'ck.bye' });
      expect(hub.metrics().connections).toBe(0);
      const left = await hub.connect({ tenant: 'a', sink: collectingSink(), expiresAt: Date.now() + 5_000 });
      if (left.state === 'open') left.stream.close();
      expect(vi.getTimerCount()).toBe(0);
    });

    it('refuses an end of the authentication that is no time, and no timer runs for it', async () => {
      const hub = newHub();
      for (const expiresAt of [Number.NaN, null as unknown as number]) {
        await expect(hub.connect({ tenant: 'a', sink: collectingSink(), expiresAt })).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        });
      }
      expect([hub.metrics().connections, vi.getTimerCount()]).toEqual([0, 0]);
    });

    it('refuses instead of waiting for a log that does not answer', async () => {
      const hub = newHub({ log: { ...createMemoryLog(), follow: () => new Promise(() => {}) } });
      const admission = hub.connect({ tenant: 'a', sink: collectingSink() });
      await vi.advanceTimersByTimeAsync(5_100);
      expect(await admission).toMatchObject({ state: 'refused', reason: 'unavailable' });
      expect(hub.metrics()).toMatchObject({ connections: 0, tenants: 0 });
    });
  });
});

describe('a hole in what a hub hears', () => {
  it('is filled from the log before anything later is delivered', async () => {
    const log = deafLog();
    const hub = newHub({ log });
    const { sink } = await open(hub);
    await hub.publish([event(1)]);
    log.deaf = true;
    await hub.publish(upTo(5).map((n) => event(n + 1)));
    log.deaf = false;
    await hub.publish([event(7)]);
    await eventually(() => expect(data(sink)).toEqual(upTo(7)));
    expect(sink.gaps()).toEqual([]);
  });

  it('is told as a gap when the log does not have it any more', async () => {
    const log = deafLog(5);
    const hub = newHub({ log });
    const { sink } = await open(hub);
    log.deaf = true;
    await hub.publish(upTo(50).map((n) => event(n)));
    log.deaf = false;
    await hub.publish([event(51)]);
    await eventually(() => expect(sink.gaps()).toEqual(['trimmed']));
    await hub.publish([event(52)]);
    await eventually(() => expect(data(sink).at(-1)).toBe(52));
  });

  it('is filled after reads that fail, as soon as one succeeds', async () => {
    const log = deafLog();
    const hub = newHub({ log });
    const errors: unknown[] = [];
    hub.onError((error) => errors.push(error));
    const { sink } = await open(hub);
    log.deaf = true;
    await hub.publish([event(1)]);
    log.deaf = false;
    log.failing = true;
    await hub.publish([event(2)]);
    await eventually(() => expect(errors.length).toBeGreaterThan(0));
    log.failing = false;
    await eventually(() => expect(data(sink)).toEqual([1, 2]));
  });
});

describe('limits and the end', () => {
  it('refuses new streams beyond the limits, with different times to come back, and evicts none', async () => {
    const hub = newHub({ limits: { streams: 3, perTenant: 2 } });
    const held = await Promise.all([open(hub), open(hub)]);
    const refused = await Promise.all(
      upTo(20).map(() => hub.connect({ tenant: 'a', sink: collectingSink() })),
    );
    const delays = new Set(
      refused.map((admission) => admission.state === 'refused' && admission.retryAfterMs),
    );
    expect(refused.every(({ state }) => state === 'refused')).toBe(true);
    expect(delays.size).toBeGreaterThan(10);
    await open(hub, { tenant: 'b' });
    expect(await hub.connect({ tenant: 'c', sink: collectingSink() })).toMatchObject({ reason: 'limit' });
    expect(held.every(({ sink }) => !sink.ended)).toBe(true);
    held[0]?.stream.close();
    await open(hub, { tenant: 'c' });
  });

  it('leaves nothing behind after 200 streams have come and gone', async () => {
    const followers = new Set<unknown>();
    const inner = createMemoryLog();
    const log: EventLog = {
      ...inner,
      async follow(tenant, follower) {
        followers.add(follower);
        const end = await inner.follow(tenant, follower);
        return async () => {
          followers.delete(follower);
          await end();
        };
      },
    };
    const hub = newHub({ log });
    for (let n = 0; n < 200; n += 1) {
      const { stream } = await open(hub, { tenant: `t${n % 7}` });
      if (n % 2) await hub.publish([event(n, `t${n % 7}`)]);
      stream.close();
      stream.close();
    }
    const together = await Promise.all(upTo(200).map((n) => open(hub, { tenant: `t${n % 7}` })));
    for (const { stream } of together) stream.close();
    await eventually(() => expect(followers.size).toBe(0));
    expect(hub.metrics()).toMatchObject({ connections: 0, tenants: 0, behind: 0 });
  });

  it('says goodbye with different times to come back, and refuses from then on', async () => {
    const hub = newHub();
    const sinks = (await Promise.all(upTo(20).map(() => open(hub)))).map(({ sink }) => sink);
    await hub.close({ spread: '10s' });
    const delays = sinks.map((sink) => JSON.parse(sink.events.at(-1)?.data ?? '').retryMs as number);
    expect(sinks.every((sink) => sink.ended && sink.events.at(-1)?.type === 'ck.bye')).toBe(true);
    expect(new Set(delays).size).toBeGreaterThan(15);
    expect(Math.max(...delays)).toBeLessThanOrEqual(10_000);
    expect(await hub.connect({ tenant: 'a', sink: collectingSink() })).toMatchObject({ reason: 'closing' });
    expect(hub.metrics()).toMatchObject({ connections: 0, tenants: 0 });
  });
});

describe('1,000 random schedules of cuts, slowness, lost messages and resumptions', () => {
  it('end complete, in order and without a repetition', async () => {
    for (let seed = 1; seed <= 1_000; seed += 1) await schedule(seed);
  }, 60_000);

  async function schedule(seed: number): Promise<void> {
    const random = seeded(seed);
    const log = deafLog();
    log.turns = () => Math.floor(random() * 6);
    const hubs = [newHub({ log, random }), newHub({ log, random })];
    const received: number[] = [];
    let lastEventId = await log.position('a').then(({ epoch }) => `${epoch}.0`);
    let current: Awaited<ReturnType<typeof open>> | undefined;
    const take = (): void => {
      if (!current) return;
      for (const { id, type, data: text } of current.sink.events.splice(0)) {
        if (type === 'ck.gap') throw new Error(`seed ${seed}: a gap`);
        if (type.startsWith('ck.')) continue;
        received.push(JSON.parse(text).data);
        lastEventId = id;
      }
    };
    let published = 0;
    for (let step = 0; step < 40; step += 1) {
      const dice = random();
      if (dice < 0.45) {
        const batch = upTo(1 + Math.floor(random() * 3)).map((n) => event(published + n));
        published += batch.length;
        const done = (hubs[step % 2] as Hub).publish(batch);
        if (random() < 0.5) await done;
      } else if (dice < 0.6 && current) {
        take();
        current.stream.close();
        current = undefined;
      } else if (dice < 0.8 && !current) {
        const hub = hubs[Math.floor(random() * 2)] as Hub;
        current = await open(hub, { lastEventId, sink: collectingSink(200 + random() * 400) });
      } else if (dice < 0.9) {
        log.deaf = random() < 0.5;
      } else {
        take();
        current?.sink.setRoom(400);
        current?.stream.drained();
      }
    }
    log.deaf = false;
    take();
    current?.stream.close();
    published += 1;
    await (hubs[0] as Hub).publish([event(published)]);
    current = await open(hubs[1] as Hub, { lastEventId });
    for (let turn = 0; received.length < published && turn < 1_000; turn += 1) {
      await Promise.resolve();
      take();
    }
    expect(received, `seed ${seed}`).toEqual(upTo(published));
    current.stream.close();
  }
});

async function pass(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
}

/** A log whose followers hear nothing while it is deaf, and whose reads fail while it is failing. */
function deafLog(length = 1_000) {
  const inner = createMemoryLog({ length });
  // A connection keeps the order of its messages.
  let queue: Promise<void> = Promise.resolve();
  const log = {
    ...inner,
    deaf: false,
    failing: false,
    /** Where the log claims to end after it lost something. */
    rewound: undefined as LogPosition | undefined,
    followers: new Set<LogFollower>(),
    /** How many turns a message takes, and a read before and after it sees the log. */
    turns: () => 0,
    follow: (tenant: string, follower: LogFollower) => {
      log.followers.add(follower);
      return inner.follow(tenant, {
        appended: (tail) => {
          if (!log.deaf) queue = queue.then(() => pass(log.turns())).then(() => follower.appended(tail));
        },
        restored: () => follower.restored(),
      });
    },
    readAfter: async (...args: Parameters<EventLog['readAfter']>) => {
      if (log.failing) throw new Error('no log');
      if (log.rewound) return { state: 'gap', reason: 'epoch', top: log.rewound } as const;
      await pass(log.turns());
      const read = await inner.readAfter(...args);
      await pass(log.turns());
      return read;
    },
  };
  return log;
}
