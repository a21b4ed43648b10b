import type { ChangeContext, ChangeEvent } from '@cachekit/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  createHub,
  createMemoryLog,
  type DeriveEvents,
  defineEvents,
  type EventLog,
  type Hub,
  on,
  publishStage,
} from '../src/index.ts';
import { type CollectingSink, collectingSink, eventually, upTo } from './collect.ts';

vi.setConfig({ testTimeout: 60_000 });

const hubs: Hub[] = [];

function newHub(log: EventLog = createMemoryLog()): { hub: Hub; log: EventLog; errors: unknown[] } {
  const hub = createHub({ log });
  hubs.push(hub);
  const errors: unknown[] = [];
  hub.onError((error) => errors.push(error));
  return { hub, log, errors };
}

async function listen(hub: Hub, tenant: string): Promise<CollectingSink> {
  const sink = collectingSink();
  await hub.connect({ tenant, sink });
  return sink;
}

let sequence = 0;
function change(part: Partial<ChangeEvent> = {}): ChangeEvent {
  sequence += 1;
  return {
    table: 'calls',
    operation: 'update',
    tenant: 'a',
    key: { id: sequence },
    at: 1_000,
    sequence: String(sequence),
    ...part,
  };
}

function context(part: Partial<ChangeContext> = {}): ChangeContext {
  return { source: 'change', clock: 42, signal: new AbortController().signal, ...part };
}

const { derive } = defineEvents({
  'call.changed': on('calls', ['insert', 'update', 'delete'], ({ key }) => key.id),
  'call.seen-twice': on('calls', 'update', ({ key }) => key.id),
  'call.entered': on('calls', 'entered', ({ key }) => key.id),
  'call.left': on('calls', 'left', ({ key }) => key.id),
  'view.refreshed': on('mv', 'refresh', ({ table }) => table),
});

const types = (sink: CollectingSink) =>
  sink.events.map(({ type }) => type).filter((type) => type !== 'ck.hello');

afterEach(async () => {
  for (const hub of hubs.splice(0)) await hub.close();
});

describe('publishStage()', () => {
  it('gives the events of a change to its tenant, with the clock of the invalidation, the key and the time', async () => {
    const { hub } = newHub();
    const [a, b] = [await listen(hub, 'a'), await listen(hub, 'b')];
    await publishStage(hub, derive)([change({ operation: 'insert', key: { id: 5 } })], context());
    expect(JSON.parse(a.events.at(-1)?.data ?? '')).toEqual({
      at: 1_000,
      clock: 42,
      key: { id: 5 },
      data: 5,
    });
    expect(types(b)).toEqual([]);
  });

  it('tells changes of a database that counts anew, such as one restored from a backup, though the log knows their numbers', async () => {
    const { hub } = newHub();
    const a = await listen(hub, 'a');
    const stage = publishStage(hub, derive);
    const before = change({ operation: 'insert', key: { id: 1 } });
    await stage([before], context());
    await stage([before], context());
    await stage([{ ...before, key: { id: 2 }, at: 2_000.5 }], context());
    expect(a.events.slice(1).map(({ data }) => (JSON.parse(data) as { data: unknown }).data)).toEqual([1, 2]);
  });

  it('a row that moves leaves the one tenant and enters the other, and neither sees the other half', async () => {
    const { hub } = newHub();
    const [a, b] = [await listen(hub, 'a'), await listen(hub, 'b')];
    await publishStage(hub, derive)(
      [
        change({ operation: 'delete', moved: true, tenant: 'a', old: { note: 'of a' } }),
        change({ operation: 'insert', moved: true, tenant: 'b', new: { note: 'of b' } }),
      ],
      context(),
    );
    expect(types(a)).toEqual(['call.changed', 'call.left']);
    expect(types(b)).toEqual(['call.changed', 'call.entered']);
  });

  it('appends a batch that is delivered again only once, also when it comes with others', async () => {
    const { hub } = newHub();
    const sink = await listen(hub, 'a');
    const stage = publishStage(hub, derive);
    const batch = [change(), change()];
    await stage(batch, context());
    await stage(batch, context({ clock: 43 }));
    await stage([change({ sequence: '0', operation: 'insert' }), ...batch, change()], context({ clock: 44 }));
    expect(types(sink)).toHaveLength(2 * 2 + 1 + 2);
    await stage(batch, context({ source: 'another' }));
    expect(types(sink)).toHaveLength(2 * 2 + 1 + 2 + 4);
  });

  it('appends what is missing when it failed for one of two tenants', async () => {
    const inner = createMemoryLog();
    let failing = true;
    const { hub } = newHub({
      ...inner,
      append: async (tenant, records) => {
        if (tenant === 'b' && failing) throw new Error('no log');
        return inner.append(tenant, records);
      },
    });
    const [a, b] = [await listen(hub, 'a'), await listen(hub, 'b')];
    const stage = publishStage(hub, derive);
    const batch = [change({ operation: 'insert' }), change({ operation: 'insert', tenant: 'b' })];
    await expect(stage(batch, context())).rejects.toThrow('no log');
    failing = false;
    await stage(batch, context());
    expect([types(a), types(b)]).toEqual([['call.changed'], ['call.changed']]);
  });

  it('tells every tenant of a gap of the source', async () => {
    const { hub } = newHub();
    const [a, b] = [await listen(hub, 'a'), await listen(hub, 'b')];
    await publishStage(hub, derive)([], context({ gap: 'restored' }));
    for (const sink of [a, b]) expect(sink.gaps()).toEqual(['source']);
  });

  it('shows a row that belongs to no tenant to nobody', async () => {
    const { hub, errors } = newHub();
    const [a, b] = [await listen(hub, 'a'), await listen(hub, 'b')];
    await publishStage(hub, derive)([change({ tenant: undefined, new: { note: 'whose?' } })], context());
    for (const sink of [a, b]) expect(types(sink)).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('takes the refresh of a view without a tenant as one for every tenant', async () => {
    const { hub } = newHub();
    const [a, b] = [await listen(hub, 'a'), await listen(hub, 'b')];
    const stage = publishStage(hub, derive);
    const refresh = change({ table: 'mv', operation: 'refresh', tenant: undefined, key: {} });
    await stage([refresh], context());
    await stage([refresh], context());
    for (const sink of [a, b]) expect(types(sink)).toEqual(['view.refreshed']);
  });

  it.each<[string, DeriveEvents]>([
    [
      'a derivation that throws',
      ({ key }) => {
        if (key.bad) throw new Error('mine');
        return { type: 'fine', data: 1 };
      },
    ],
    ['data that is no JSON', ({ key }) => ({ type: 'fine', data: key.bad ? 1n : 1 })],
    ['an event too long', ({ key }) => ({ type: 'fine', data: key.bad ? 'x'.repeat(2_000_000) : 1 })],
    ['a type that is none', ({ key }) => ({ type: key.bad ? 'not one' : 'fine', data: 1 })],
    ['an event for another tenant', ({ key }) => ({ type: 'fine', data: 1, tenant: key.bad ? 'b' : 'a' })],
  ])('%s is a gap for its tenant in its place, and holds nobody up', async (_, bad) => {
    const { hub, errors } = newHub();
    const [a, b] = [await listen(hub, 'a'), await listen(hub, 'b')];
    await publishStage(hub, bad)([change(), change({ key: { bad: true } }), change()], context());
    expect(types(a)).toEqual(['fine', 'ck.gap', 'fine']);
    expect(types(b)).toEqual([]);
    expect(errors).toHaveLength(1);
  });

  it('is not stopped for ever by a tenant id that cannot be one', async () => {
    const { hub, errors } = newHub();
    const a = await listen(hub, 'a');
    await publishStage(hub, derive)(
      [
        change({ tenant: 'x'.repeat(500) }),
        change({ tenant: '', operation: 'insert' }),
        change({ operation: 'insert' }),
      ],
      context(),
    );
    expect(types(a)).toEqual(['call.changed']);
    expect(errors).toHaveLength(2);
  });

  it('keeps the order of the changes of a tenant over many batches', async () => {
    const { hub } = newHub();
    const sink = await listen(hub, 'a');
    const stage = publishStage(hub, derive);
    const changes = upTo(300).map((id) => change({ operation: 'insert', key: { id } }));
    for (let from = 0; from < 300; from += 30) await stage(changes.slice(from, from + 30), context());
    await eventually(() => expect(sink.received().map(({ data }) => data)).toEqual(upTo(300)));
  });
});
