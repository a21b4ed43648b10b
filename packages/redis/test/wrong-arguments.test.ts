import type { RedisExecutor } from '@cachekit/core';
import { describe, expect, it } from 'vitest';
import {
  createCounters,
  createLists,
  createLocks,
  createPairing,
  createPresence,
  createSessions,
} from '../src/index.ts';

/** Nothing is asked of it. */
const redis = {
  capabilities: { cluster: false, subscribe: true, tracking: false },
  script: () => Promise.reject(new Error('It was asked')),
  command: () => Promise.reject(new Error('It was asked')),
} as unknown as RedisExecutor;

const circle: unknown[] = [];
circle.push([circle]);

const locks = createLocks({ redis });
const sessions = createSessions<number>({ redis, idleTtl: '1m', maxLifetime: '1h' });
const pairing = createPairing<number>({ redis });
const presence = createPresence({ redis, ttl: '1m' });
const counters = createCounters({ redis, window: '1h' });
const lists = createLists<number>({ redis, ttl: '1h' });

const named: Readonly<Record<string, (name: never) => unknown>> = {
  'locks.lock': (name) => locks.lock(name, { ttl: '1s' }),
  'sessions.create': (user) => sessions.create('acme', { user, data: 1 }),
  'sessions.list': (user) => sessions.list('acme', user),
  'pairing.claim': (by) => pairing.claim('BCDFGHJK', { by }),
  'presence.seen': (member) => presence.seen('acme', member),
  'presence.seen, of a device': (device) => presence.seen('acme', 'ann', { device }),
  'presence.hold': (member) => presence.hold('acme', member),
  'counters.add': (name) => counters.add('acme', name),
  'lists.append': (name) => lists.append('acme', name, 1),
};

describe.each(Object.entries(named))('%s', (_name, call) => {
  it.each([
    ['a bigint, as drivers give ids', 7n, '7'],
    ['a number', 7, '7'],
    ['nothing', null, 'null'],
    ['what no text can show', circle, 'got'],
  ])('says what it got instead of a name: %s', async (_what, name, told) => {
    await expect(async () => call(name as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(told),
    });
  });
});

describe('what is no function', () => {
  it.each([undefined, null, 'log', {}])('is no listener of presence: %j', async (listener) => {
    const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => presence.onChange(listener as never)).toThrow(refusal);
    await expect(presence.watch('acme', listener as never)).rejects.toEqual(refusal);
  });
});

describe('what is no signal', () => {
  it.each([7, 'abort', {}])('is refused by those who wait: %j', async (signal) => {
    const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    const wait = { ttl: 1_000, wait: 1_000, signal: signal as never };
    await expect(async () => locks.lock('import', wait)).rejects.toEqual(refusal);
    await expect(pairing.waitForClaim('none', { signal: signal as never })).rejects.toEqual(refusal);
  });
});

const nowhere: readonly [string, (options: never) => Promise<unknown>][] = [
  ['pairing.waitForClaim', (options) => pairing.waitForClaim('none', options)],
  ['sessions.endAll', (options) => sessions.endAll('acme', 'ann', options)],
  ['presence.seen', (options) => presence.seen('acme', 'ann', options)],
  ['presence.hold', (options) => presence.hold('acme', 'ann', options)],
  ['presence.leave', (options) => presence.leave('acme', 'ann', options)],
];

describe.each(nowhere)('the options of %s', (_name, call) => {
  it.each([null, 7, 'ann', [], { exept: 'id' }])('are refused where they are none: %j', async (options) => {
    await expect(call(options as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe.each([undefined, null, 7])('%j', (nothing) => {
  const none = nothing as never;
  it.each<[string, () => Promise<unknown>]>([
    ['session', () => sessions.create('acme', none)],
    ['change of a session', () => sessions.update('none', none)],
    ['claim', () => pairing.claim('BCDFGHJK', none)],
    ['confirmation', () => pairing.confirm('BCDFGHJK', none)],
    ['refusal', () => pairing.deny('BCDFGHJK', none)],
    ['list of counters', () => counters.readMany('acme', none)],
  ])('is no %s', async (_what, call) => {
    await expect(call()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

it('waits for nothing that a pairing never comes to', async () => {
  const until = { until: 'confirmed' as never };
  await expect(pairing.waitForClaim('none', until)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
