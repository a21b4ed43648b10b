import {
  parseQualifiedName,
  poolPressure,
  quoteIdentifier,
  quoteLiteral,
  quoteQualified,
  sharedPool,
  wakeSql,
} from '@cachekit/core/postgres';
import { expect, test } from 'vitest';
import { backoffMs } from '../src/async/backoff.ts';
import { parseJsonText } from '../src/postgres/json-text.ts';

test('quoteIdentifier() refuses what the server would refuse or cut', () => {
  expect(quoteIdentifier('user"id')).toBe('"user""id"');
  expect(quoteIdentifier('Ünï')).toBe('"Ünï"');
  for (const name of ['', 'a\0b', 'x'.repeat(64), 'ü'.repeat(32), 7 as never]) {
    expect(() => quoteIdentifier(name)).toThrow('An SQL identifier');
  }
});

test('quoteLiteral() quotes quotes and backslashes', () => {
  expect(quoteLiteral("it's")).toBe("'it''s'");
  expect(quoteLiteral("\\'")).toBe(" E'\\\\'''");
  expect(() => quoteLiteral('a\0')).toThrow('NUL');
});

test('parseQualifiedName() keeps case, and reads quoted parts', () => {
  expect(parseQualifiedName('Calls')).toEqual({ schema: undefined, name: 'Calls' });
  expect(parseQualifiedName('app.calls')).toEqual({ schema: 'app', name: 'calls' });
  expect(parseQualifiedName('"v1.0"."a""b"')).toEqual({ schema: 'v1.0', name: 'a"b' });
  expect(quoteQualified(parseQualifiedName('"v1.0"."a""b"'))).toBe('"v1.0"."a""b"');
  for (const name of ['', '.', 'a.', '.a', 'a.b.c', '"a', 'a"b', '""', undefined as never]) {
    expect(() => parseQualifiedName(name)).toThrow('no name of a table');
  }
});

test('wakeSql() notifies only where somebody sleeps', () => {
  expect(wakeSql('change')).toBe(
    "perform pg_catalog.pg_notify('cachekit_change', '') where exists " +
      "(select from cachekit.wake w where w.subject = 'change' and w.armed)" +
      " and pg_catalog.current_setting('max_prepared_transactions') = '0'",
  );
  expect(wakeSql('change', 'select')).toMatch(/^select /);
});

test('parseJsonText() keeps every digit of whole numbers', () => {
  expect(parseJsonText('{"a": 9007199254740991, "b": 9007199254740993, "c": [-9007199254740993]}')).toEqual({
    a: 9007199254740991,
    b: '9007199254740993',
    c: ['-9007199254740993'],
  });
  expect(parseJsonText('{"a": "9007199254740993", "b": 0.12345678901234567890, "c": 1}')).toEqual({
    a: '9007199254740993',
    b: 0.12345678901234568,
    c: 1,
  });
});

test('backoffMs() grows to its ceiling and never becomes a busy loop', () => {
  expect([0, 1, 2, 9, 2_000].map((attempt) => backoffMs(attempt, 100, 5_000, () => 1))).toEqual([
    100, 200, 400, 5_000, 5_000,
  ]);
  expect(backoffMs(9, 100, 5_000, () => 0)).toBe(50);
});

test('RC-5, CRM-1: sharedPool() gives one pool per name for the whole process, whichever copy of the module asks, and its pressure is seen', async () => {
  const made: FakePool[] = [];
  class FakePool {
    listeners = 0;
    totalCount = 3;
    idleCount = 1;
    waitingCount = 2;
    options: { max?: number } = { max: 20 };
    constructor() {
      made.push(this);
    }
    on(): void {
      this.listeners += 1;
    }
  }
  const pool = sharedPool(() => new FakePool(), 'rc-5');
  // What a hot reload does: another instance of the same module.
  const again: typeof import('../src/postgres/shared-pool.ts') = await import(
    // @ts-expect-error the query makes it another module
    '../src/postgres/shared-pool.ts?again'
  );
  expect(again.sharedPool).not.toBe(sharedPool);
  expect(again.sharedPool(() => new FakePool(), 'rc-5')).toBe(pool);
  expect(sharedPool(() => new FakePool(), 'other')).not.toBe(pool);
  expect(made).toHaveLength(2);
  expect(pool.listeners).toBe(2);

  expect(poolPressure(pool)).toEqual({ max: 20, total: 3, idle: 1, used: 2, waiting: 2, saturation: 0.1 });
});
