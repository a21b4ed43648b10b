import { FakeClock } from '@cachekit/core/testing';
import { expect, test } from 'vitest';
import { createHub, createMemoryLog, type StreamSink } from '../src/index.ts';
import { collectingSink } from './collect.ts';

const event = { type: 'changed', tenant: 'a', data: 1 };

/** Throws from now on when it is broken, as a socket does that nobody told the hub was closed. */
function breakable() {
  const broken = { writes: false, aborted: 0 };
  const sink: StreamSink = {
    write() {
      if (broken.writes) throw new Error('closed');
    },
    room: 1_000,
    end() {
      throw new Error('closed');
    },
    abort() {
      broken.aborted += 1;
      throw new Error('closed');
    },
  };
  return { broken, sink };
}

test.each(['an event', 'a beat', 'what was missed', 'the goodbye', 'the beginning'] as const)(
  'a sink that throws at %s ends its own stream, is told once, and no other stream is disturbed',
  async (when) => {
    const clock = new FakeClock();
    const hub = createHub({ log: createMemoryLog({ clock }), clock, heartbeat: '10s' });
    const errors: unknown[] = [];
    hub.onError((error) => errors.push(error));
    const other = collectingSink();
    const { broken, sink } = breakable();
    const position = await hub.position('a');
    if (when === 'what was missed') await hub.publish([event]);
    broken.writes = when === 'the beginning';
    const connected = hub.connect({ tenant: 'a', sink, lastEventId: position });
    const beside = hub.connect({ tenant: 'a', sink: other });
    expect((await connected).state).toBe('open');
    if (when !== 'the goodbye') broken.writes = true;
    await beside;
    if (when === 'an event') await hub.publish([event]);
    if (when === 'a beat') await clock.advance(10_000);
    if (when === 'the goodbye') await hub.close({ spread: 0 });
    await clock.advance(1);
    expect(errors).toEqual([new Error('closed')]);
    expect(broken.aborted).toBe(1);
    expect(hub.metrics().connections).toBe(when === 'the goodbye' ? 0 : 1);
    if (when === 'the goodbye') return;
    await hub.publish([event]);
    await clock.advance(1);
    expect(other.received().length).toBeGreaterThan(0);
    await hub.close({ spread: 0 });
    expect(clock.timers).toBe(0);
  },
);
