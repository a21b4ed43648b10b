import { describe, expect, it } from 'vitest';
import { createViews, defineView, type ViewDefinition, type ViewOptions } from '../src/index.ts';
import { scanSql } from '../src/sql/scan.ts';
import { unqualify } from '../src/sql/unqualify.ts';

const base: ViewOptions = { name: 'v', kind: 'materialized', query: 'select 1 as one' };
const code = (options: object): string | undefined => {
  try {
    defineView({ ...base, ...options } as ViewOptions);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

describe('defineView()', () => {
  it.each<[string, object]>([
    ['an unknown option', { index: [] }],
    ['an empty name', { name: '' }],
    ['a name that is no text', { name: 7 }],
    ['a name that PostgreSQL would cut', { name: 'n'.repeat(64) }],
    ['a name of 40 characters that is 80 bytes', { name: 'ü'.repeat(40) }],
    ['a NUL in a name', { name: 'a\0b' }],
    ['an unknown kind', { kind: 'rollup' }],
    ['a layer that is no whole number', { layer: 1.5 }],
    ['an empty query', { query: ' -- nothing\n' }],
    ['two statements', { query: 'select 1; drop table calls' }],
    ['something else than a SELECT', { query: 'delete from calls' }],
    ['a placeholder without a value', { query: 'select $1' }],
    ['a query that is no query', { query: 5 }],
    ['a value that is no constant', { query: { compile: () => ({ sql: 'select $1', parameters: [{}] }) } }],
    ['a number that is none', { query: { compile: () => ({ sql: 'select $1', parameters: [Number.NaN] }) } }],
    ['an index without columns', { indexes: [{ columns: [] }] }],
    ['an unknown option of an index', { indexes: [{ columns: ['one'], uniq: true }] }],
    ['two indexes of one name', { indexes: [{ columns: ['one'] }, { columns: ['one'] }] }],
    ['an empty condition of an index', { indexes: [{ columns: ['one'], where: ' ' }] }],
    ['an unknown way to refresh', { refresh: 'always' }],
    ['a source that says a tenant the view has not', { sources: { calls: { tenant: 'user_id' } } }],
    ['an unknown option of a source', { sources: { calls: { columns: [] } } }],
    ['a source of three parts', { sources: { 'a.b.c': {} } }],
    ['a plain view with indexes', { kind: 'view', indexes: [] }],
    ['a plain view with sources', { kind: 'view', sources: {} }],
    ['a plain view that is refreshed', { kind: 'view', refresh: 'auto' }],
  ])('refuses %s', (_what, options) => {
    expect(code(options)).toBe('INVALID_CONFIGURATION');
  });

  it('refuses CONCURRENTLY without an index that allows it, before anything touches the database', () => {
    const none = { refresh: 'concurrently' };
    expect(code(none)).toBe('MISSING_UNIQUE_INDEX');
    expect(code({ ...none, indexes: [{ columns: ['one'] }] })).toBe('MISSING_UNIQUE_INDEX');
    expect(code({ ...none, indexes: [{ columns: ['one'], unique: true, where: 'one > 0' }] })).toBe(
      'MISSING_UNIQUE_INDEX',
    );
    expect(code({ ...none, indexes: [{ columns: ['one'], unique: true }] })).toBeUndefined();
  });

  it('makes constants of the values of a query builder, and of nothing that only looks like a placeholder', () => {
    const { query } = defineView({
      ...base,
      query: {
        compile: () => ({
          sql: `select $1, $2, '$3', "$4", $tag$ $5 $tag$ /* $6 /* $7 */ */, $8, $9 -- $10\n, $11, $12`,
          parameters: ["it's \\ here", -5, 0, 0, 0, 0, 0, null, true, 0, new Date(0), 12n],
        }),
      },
    });
    expect(query).toBe(
      `select  E'it''s \\\\ here', (-5), '$3', "$4", $tag$ $5 $tag$ /* $6 /* $7 */ */, NULL, true -- $10\n, '1970-01-01T00:00:00.000Z'::timestamptz, 12`,
    );
  });

  it('takes a trailing semicolon off', () => {
    expect(defineView({ ...base, query: `select ';' as a ; \n` }).query).toBe(`select ';' as a`);
  });

  it('gives long index names that fit and stay different', () => {
    const long = 'c'.repeat(60);
    const { indexes } = defineView({ ...base, indexes: [{ columns: [long] }, { columns: [`${long}x`] }] });
    expect(indexes.every(({ name }) => name.length <= 63)).toBe(true);
    expect(new Set(indexes.map(({ name }) => name)).size).toBe(2);
  });
});

describe('createViews()', () => {
  const sql = {
    query: () => Promise.reject(new Error('not used')),
    transaction: () => Promise.reject(new Error('not used')),
  };
  const view = (name: string, query: string, layer?: number): ViewDefinition =>
    defineView({ name, kind: 'view', query, ...(layer === undefined ? {} : { layer }) });
  const order = (...views: ViewDefinition[]): string[] =>
    createViews({ sql, views }).definitions.map(({ name }) => name);

  it('finds what uses what in the text of the queries', () => {
    const a = view('a', 'select 1 as x');
    expect(order(view('b', 'select * from a'), a)).toEqual(['a', 'b']);
    expect(order(view('b', 'select * from public.a'), a)).toEqual(['a', 'b']);
    expect(order(view('b', 'select * from "a"'), a)).toEqual(['a', 'b']);
    expect(order(view('b', 'select * from A, t'), a)).toEqual(['a', 'b']);
    expect(order(view('b', 'select * from t join lateral (select * from a) q on true'), a)).toEqual([
      'a',
      'b',
    ]);
    expect(order(view('b', 'select * from other.a'), a)).toEqual(['b', 'a']);
    expect(order(view('b', `select 'a' as x from "A" -- a`), a)).toEqual(['b', 'a']);
    expect(order(view('b', 'with a as (select 1) select * from a'), a)).toEqual(['b', 'a']);
    expect(order(view('b', 'with a (x) as not materialized (select 1) select * from a'), a)).toEqual([
      'b',
      'a',
    ]);
    expect(order(view('b', 'select t.x as a from t'), a)).toEqual(['b', 'a']);
  });

  it('refuses circles and spells them', () => {
    expect(() => order(view('a', 'table c'), view('b', 'table a'), view('c', 'table b'))).toThrow(
      'a -> c -> b -> a',
    );
    expect(() => order(view('a', 'select * from a'))).toThrow('a -> a');
  });

  it('refuses a view that uses one of its own layer or of a higher one', () => {
    const lower = view('lower', 'select 1 as x', 1);
    expect(order(view('upper', 'table lower', 2), lower)).toEqual(['lower', 'upper']);
    expect(order(view('free', 'table lower'), lower)).toEqual(['lower', 'free']);
    expect(() => order(view('same', 'table lower', 1), lower)).toThrow(
      expect.objectContaining({ code: 'LAYER_VIOLATION', view: 'same', uses: 'lower' }),
    );
  });

  it('refuses two views of one name, wrong schemas and a view as a source', () => {
    const a = view('a', 'select 1 as x');
    expect(() => createViews({ sql, views: [a, a] })).toThrow('two views are named "a"');
    expect(() => createViews({ sql, views: [a], schema: 'cachekit' })).toThrow('is taken');
    expect(() => createViews({ sql, views: [a], schema: '' })).toThrow('is no name');
    expect(() => createViews({ sql, views: [a], lock: { timeout: 0 } })).toThrow('lock.timeout');
    const marked = defineView({ name: 'm', kind: 'materialized', query: 'table a', sources: { a: {} } });
    expect(() => createViews({ sql, views: [a, marked] })).toThrow('is a view and no source');
  });
});

describe('scanSql()', () => {
  it.each([
    `select 'it''s', E'it\\'s', $$a'b$$, "a""b", 1.5e3, $1, x.y::text[] -- end`,
    `/* a /* b */ c */ select 1`,
    `select 'not closed`,
    `select $a$ not closed`,
    `select U&"d\\0061t" uescape '\\'`,
    '',
  ])('loses nothing of %s', (sql) => {
    expect(
      scanSql(sql)
        .map(({ text }) => text)
        .join(''),
    ).toBe(sql);
  });
});

describe('unqualify()', () => {
  it('takes the schema off the views of the catalog only', () => {
    expect(
      unqualify(
        `select s.a.x, 's.a' from s.a join "s"."b" on true join t.a on true join s.c on true`,
        's',
        new Set(['a', 'b']),
      ),
    ).toBe(`select a.x, 's.a' from a join "b" on true join t.a on true join s.c on true`);
  });
});
