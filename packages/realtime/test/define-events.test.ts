import type { ChangeEvent } from '@cachekit/core';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { became, changed, defineEvents, type EventsOf, on } from '../src/index.ts';

const events = defineEvents({
  'call.changed': on('calls', ['insert', 'update', 'delete'], ({ key, operation }) => ({
    id: key.id,
    operation,
  })),
  'call.created': on('calls', 'insert', ({ new: call }) => ({ device: call.device as string })),
  'call.deleted': on('calls', 'delete', ({ old }) => ({ device: old.device })),
  'call.status-changed': on('calls', 'update', changed('status'), ({ key, old, new: call }) => ({
    id: key.id as number,
    from: old.status as string,
    to: call.status as string,
  })),
  'call.scored': on('calls', 'update', changed('score'), ({ new: call }) => call.score),
  'call.analysed': on('calls', ['insert', 'update'], became('analysis', 'completed'), () => true),
  'call.entered': on('calls', 'entered', ({ key }) => key.id),
  'call.left': on('calls', 'left', ({ key }) => key.id),
  'view.refreshed': [
    on('mv_totals', 'refresh', ({ table, key }) => ({ view: table, key })),
    on('mv_devices', 'refresh', ({ table, key }) => ({ view: table, key })),
  ],
});

function change(part: Partial<ChangeEvent>): ChangeEvent {
  return { table: 'calls', operation: 'update', tenant: 'a', key: { id: 1 }, at: 0, sequence: '1', ...part };
}

function typesOf(part: Partial<ChangeEvent>): string[] {
  return events.derive(change(part)).map(({ type }) => type);
}

describe('defineEvents()', () => {
  it('RT-1 gives created, changed and deleted from insert, update and delete', () => {
    expect(typesOf({ operation: 'insert', new: { device: 'd' } })).toEqual(['call.changed', 'call.created']);
    expect(typesOf({ old: { status: 'a' }, new: { status: 'a' } })).toEqual(['call.changed']);
    expect(typesOf({ operation: 'delete', old: { device: 'd' } })).toEqual(['call.changed', 'call.deleted']);
  });

  it('RT-2 tells a changed status with the old and the new one, and is silent when it stayed', () => {
    const [, derived] = events.derive(change({ old: { status: 'ringing' }, new: { status: 'answered' } }));
    expect(derived).toEqual({
      type: 'call.status-changed',
      key: { id: 1 },
      data: { id: 1, from: 'ringing', to: 'answered' },
    });
    expect(typesOf({ old: { status: 'x', n: 1 }, new: { status: 'x', n: 2 } })).not.toContain(
      'call.status-changed',
    );
  });

  it('RT-2 compares deeply and as JSON: the order of keys is no change, a nested value is', () => {
    const old = { score: { total: 1, parts: [{ a: 1, b: null }] } };
    expect(typesOf({ old, new: { score: { parts: [{ b: null, a: 1 }], total: 1 } } })).not.toContain(
      'call.scored',
    );
    expect(typesOf({ old, new: { score: { parts: [{ b: null, a: 2 }], total: 1 } } })).toContain(
      'call.scored',
    );
    expect(typesOf({ old: { score: null }, new: { score: 0 } })).toContain('call.scored');
    expect(typesOf({ old: { score: [] }, new: { score: {} } })).toContain('call.scored');
  });

  it('RT-2 sees no change in a column that one of the two rows does not have', () => {
    expect(typesOf({ old: { id: 1 }, new: { id: 1, status: 'answered' } })).toEqual(['call.changed']);
    expect(typesOf({ new: { status: 'answered' } })).toContain('call.status-changed');
  });

  it('RT-2 tells that an analysis is completed once, not with every later update', () => {
    const done = { analysis: 'completed' };
    expect(typesOf({ old: { analysis: 'running' }, new: done })).toContain('call.analysed');
    expect(typesOf({ old: done, new: done })).not.toContain('call.analysed');
    expect(typesOf({ operation: 'insert', new: done })).toContain('call.analysed');
  });

  it('takes a moved row as left and entered too', () => {
    expect(typesOf({ operation: 'insert', moved: true, new: {} })).toEqual([
      'call.changed',
      'call.created',
      'call.entered',
    ]);
    expect(typesOf({ operation: 'delete', moved: true, old: {} })).toEqual([
      'call.changed',
      'call.deleted',
      'call.left',
    ]);
  });

  it('has several rules for one type, and nothing for a table without one', () => {
    expect(typesOf({ table: 'mv_devices', operation: 'refresh' })).toEqual(['view.refreshed']);
    expect(typesOf({ table: 'unknown' })).toEqual([]);
  });

  it('carries the types of the data to the client', () => {
    type Map = EventsOf<typeof events>;
    expectTypeOf<Map['call.status-changed']>().toEqualTypeOf<{ id: number; from: string; to: string }>();
    expectTypeOf<Map['call.created']>().toEqualTypeOf<{ device: string }>();
  });

  it.each([
    ['a reserved type', () => defineEvents({ 'ck.x': on('t', 'insert', () => 1) })],
    ['a type with a line break', () => defineEvents({ 'a\nb': on('t', 'insert', () => 1) })],
    ['an operation that does not exist', () => on('t', 'upsert' as 'insert', () => 1)],
    ['no operation', () => on('t', [], () => 1)],
    ['no table', () => on('', 'insert', () => 1)],
    ['no data function', () => on('t', 'insert', undefined as never)],
    ['something that is no rule', () => defineEvents({ a: {} as never })],
  ])('refuses %s', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});
