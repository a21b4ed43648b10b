import { quoteIdentifier, quoteLiteral, wakeChannel } from '@cachekit/core/postgres';
import { type BoundedMarks, boundedSql, countedSql } from './mark-bound.ts';
import { type LogMark, type MarkRule, type MarkUnit, markFunctionName, wakeSubject } from './mark-trigger.ts';
import { type MarkColumn, type RowsOf, rowsSeen } from './rows-seen.ts';

/**
 * Body of the trigger function of a table.
 *
 * It must never make the user's statement fail: it runs with the rights of its owner, finds its own names under any
 * search path, and probes whether the columns it reads are still there. The probe is the only thing inside an
 * exception block, and as it writes nothing, it takes no subtransaction id; if it fails, everything is marked.
 * An update marks the rows that differ in a column that counts, before and after.
 *
 * The probe is never executed, only analysed, and rides on the one look at what else must be known: whether somebody
 * is to be woken, and whether the statement was about more than one row, which stays unknown if the probe fails. The flag
 * may be read before the marks are written, because whoever changed a row has a transaction id. Where transactions may be
 * prepared nobody is woken: one that notifies could not be.
 */
export function markFunctionBody(
  table: string,
  rules: readonly MarkRule[],
  types: ReadonlyMap<string, MarkColumn>,
  per: MarkUnit = 'statement',
): string {
  const from = rowsSeen(per, new Set(rules.flatMap(readsOf)), types);
  const more = (sql: string): string => (per === 'row' ? 'false' : sql);
  const groups = signatures(rules.filter(({ rollup }) => rollup === undefined));
  const rollups = rules.flatMap((rule) =>
    rule.rollup === undefined ? [] : [{ ...rule, rollup: rule.rollup }],
  );
  const logs = rollups.map(({ rollup }) => `${rollup.log}, `).join('');
  const reads = [...groups.flatMap((group) => [...group.reads]), ...rollups.flatMap(readsOf)];
  const tables = `${logs}${groups.length === 0 ? '' : 'ONLY cachekit.mark, '}cachekit.wake`;
  const isArmed = `EXISTS (SELECT FROM cachekit.wake w WHERE w.subject = ${quoteLiteral(wakeSubject)} AND w.armed)`;
  const guarded = (probe: string): string => `BEGIN
      ${probe}
    EXCEPTION
      WHEN undefined_table OR invalid_schema_name THEN
        RETURN NULL;
      WHEN undefined_column THEN
        SELECT ${isArmed} INTO armed;
    END;`;
  const look = (rows: string, many: string): string =>
    guarded(`SELECT ${isArmed}, ${many}
      INTO armed, many FROM (VALUES (1)) o
      WHERE true OR EXISTS (SELECT FROM ${tables}, (SELECT ${[...new Set(reads)].map((column) => `t.${quoteIdentifier(column)}`).join(', ')} FROM ${rows} t) t);`);
  const natives = rules.filter(({ rollup }) => rollup === undefined);
  const marks: readonly Marks[] = [
    ...(natives.length === 0
      ? []
      : [
          {
            log: table,
            groups: undefined,
            everything: `INSERT INTO cachekit.mark (view, source, everything)
  VALUES ${natives.map((rule) => `(${quoteLiteral(rule.view)}, ${quoteLiteral(table)}, true)`).join(', ')};`,
            of: (event: MarkedEvent): Inserts => {
              const all = `INSERT INTO cachekit.mark (view, source, tenant, key, everything)
    ${groups.map((group) => marksSql(table, group, from, event, types)).join('\n    UNION ALL ')}`;
              return { ...eachRow(all), one: all };
            },
          },
        ]),
    ...rollups.map((rule) => ({
      log: rule.rollup.log,
      groups: rule.rollup.table,
      everything: `INSERT INTO ${rule.rollup.log} (view, source, everything, wild) VALUES (${quoteLiteral(rule.view)}, ${quoteLiteral(table)}, true, ${rule.rollup.mask});`,
      of: (event: MarkedEvent): Inserts => logSql(table, rule, from, event, types),
    })),
  ];
  const written = (event: MarkedEvent): string =>
    marks.map((one) => boundedSql({ ...one, ...one.of(event) })).join('\n    ');
  return `${from.computed ? '\n#variable_conflict use_column' : ''}${settingsOf(rules, types).why}
DECLARE
  armed boolean;
  many boolean;
  told text;
  spent bigint;
  most bigint;
  written bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    ${look(from.inserted, more('EXISTS (SELECT FROM new_rows OFFSET 1)'))}
    ${written('insert')}
  ELSIF TG_OP = 'UPDATE' THEN
    ${look(from.inserted, more('EXISTS (SELECT FROM old_rows OFFSET 1) OR NOT EXISTS (SELECT FROM new_rows)'))}
    ${written('update')}
  ELSIF TG_OP = 'DELETE' THEN
    ${look(from.deleted, more('EXISTS (SELECT FROM old_rows OFFSET 1)'))}
    ${written('delete')}
  ELSE
    ${guarded(`SELECT ${isArmed} INTO armed WHERE true OR EXISTS (SELECT FROM ${tables});`)}
    ${marks.map(({ everything }) => everything).join('\n    ')}
  END IF;
  IF armed AND current_setting('max_prepared_transactions') = '0' THEN
    PERFORM pg_catalog.pg_notify(${quoteLiteral(wakeChannel(wakeSubject))}, '');
  END IF;
  RETURN NULL;
END`;
}

/** Marks that go to one log. */
interface Marks {
  readonly log: string;
  /** Table of the rollup they are about. */
  readonly groups: string | undefined;
  /** Marks everything. */
  readonly everything: string;
  of(event: MarkedEvent): Inserts;
}

/** What writes the marks of a statement. */
type Inserts = Pick<BoundedMarks, 'rows' | 'many' | 'one'>;

function eachRow(insert: string): Pick<Inserts, 'rows' | 'many'> {
  return { rows: countedSql(insert), many: countedSql(insert) };
}

/** The statement that creates or replaces the function of a table. */
export function markFunctionSql(
  table: string,
  body: string,
  settings: MarkSettings,
  per: MarkUnit = 'statement',
): string {
  return `CREATE OR REPLACE FUNCTION ${markFunctionName(table, per)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp${settings.sql}
AS ${quoteLiteral(body).trim()}`;
}

/** Views that are marked by the same columns share one INSERT. */
interface Signature {
  readonly views: string[];
  readonly tenant: string | null;
  readonly key: readonly (readonly [string, string])[];
  /** Columns whose change counts, those of tenant and key among them. */
  readonly reads: ReadonlySet<string>;
}

function signatures(rules: readonly MarkRule[]): Signature[] {
  const groups = new Map<string, Signature>();
  for (const { view, tenant, key, columns } of rules) {
    const pairs = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1));
    const reads = new Set([
      ...columns,
      ...(tenant === null ? [] : [tenant]),
      ...pairs.map(([, column]) => column),
    ]);
    const signature = JSON.stringify([tenant, pairs, [...reads].sort()]);
    const group = groups.get(signature);
    if (group) group.views.push(view);
    else groups.set(signature, { views: [view], tenant, key: pairs, reads });
  }
  return [...groups.values()];
}

/** The marks of one group of views, as a SELECT. Equal rows are put together before anything is made of them. */
function marksSql(
  table: string,
  group: Signature,
  from: RowsOf,
  event: MarkedEvent,
  types: ReadonlyMap<string, MarkColumn>,
): string {
  const views = `(VALUES ${group.views.map((view) => `(${quoteLiteral(view)})`).join(', ')}) v (view)`;
  const named = [...(group.tenant === null ? [] : [group.tenant]), ...group.key.map(([, column]) => column)];
  const changed = changedRows(group, named, from, event, types);
  const source = quoteLiteral(table);
  if (named.length === 0) {
    return `SELECT v.view, ${source}, NULL, NULL::jsonb, true FROM ${views} WHERE EXISTS (${changed})`;
  }
  const tenant = group.tenant === null ? 'NULL' : 'd.n0::text';
  const first = group.tenant === null ? 0 : 1;
  const pairs = group.key.map(([view], at) => `${quoteLiteral(view)}, d.n${at + first}`);
  const key = pairs.length === 0 ? 'NULL::jsonb' : `jsonb_build_object(${pairs.join(', ')})`;
  const columns = named.map((_, at) => `c.n${at}`).join(', ');
  return `SELECT v.view, ${source}, ${tenant}, ${key}, false
    FROM (SELECT DISTINCT ${columns} FROM (${changed}) c) d, ${views}`;
}

type MarkedEvent = 'insert' | 'update' | 'delete';
type RollupRule = MarkRule & { readonly rollup: LogMark };

/** Columns of the table whose change counts, with those of tenant and key. */
function readsOf({ columns, key, tenant }: MarkRule): string[] {
  return [...columns, ...Object.values(key), ...(tenant === null ? [] : [tenant])];
}

/**
 * The marks of a rollup: the keys of the rows that count, once each. A row with NULL in its key is in no group. For one
 * row, which is what most statements are about, there is nothing to sort out; its keys before and after are compared
 * as text, because a type may have its operators where the function does not look.
 */
function logSql(
  table: string,
  rule: RollupRule,
  { inserted, deleted }: RowsOf,
  event: MarkedEvent,
  types: ReadonlyMap<string, MarkColumn>,
): Inserts {
  const { log, keys, many } = rule.rollup;
  const known = keys.flatMap((key, at) => (key === undefined ? [] : [{ ...key, at }]));
  const wild = keys.reduce<number>((bits, key, at) => (key === undefined ? bits + 2 ** at : bits), 0);
  const columns = known.map(({ at }) => `k${at}`);
  const named = known.map(({ sql, at }) => `${sql} AS k${at}`);
  const counted =
    event === 'update'
      ? [...new Set(readsOf(rule))].map((column) => comparable(column, types.get(column)?.type))
      : [];
  const rows = (of: string, select = 'SELECT'): string =>
    `${select} ${[...named, ...counted.map((sql, at) => `${sql} AS c${at}`)].join(', ')} FROM ${of} t`;
  const present = event === 'insert' ? inserted : deleted;
  const changed =
    event === 'update'
      ? `(${rows(deleted)} EXCEPT ALL ${rows(inserted)}) UNION ALL (${rows(inserted)} EXCEPT ALL ${rows(deleted)})`
      : rows(present);
  const target = (of: readonly string[]): string =>
    `INSERT INTO ${log} (${['view', 'source', ...of, 'wild'].join(', ')})`;
  const start = `${quoteLiteral(rule.view)}, ${quoteLiteral(table)}`;
  if (known.length === 0) {
    const all = `${target([])} SELECT ${start}, ${wild} WHERE EXISTS (${changed})`;
    return { ...eachRow(all), one: all };
  }
  const keysOf = columns.join(', ');
  // A key may be costly to compute, so it is not computed again to see whether it is null, if its column says so.
  const whole = event === 'update' ? columns : known.map(({ column }) => column);
  const inGroup = whole.map((of) => `${of} IS NOT NULL`).join(' AND ');
  const marks = (of: string): string =>
    `${target(columns)} SELECT ${start}, ${ofRow('d', columns)}, ${wild} FROM (${of} WHERE ${inGroup}) d`;
  const one =
    event === 'update'
      ? `SELECT ${keysOf} FROM (SELECT v.* FROM (${rows(deleted)}) o CROSS JOIN (${rows(inserted)}) n
      CROSS JOIN LATERAL (VALUES (true, ${ofRow('o', columns)}), (false, ${ofRow('n', columns)})) v (before, ${keysOf})
      WHERE (${counted.map((_, at) => `o.c${at} IS DISTINCT FROM n.c${at}`).join(' OR ')})
        AND (v.before OR ${columns.map((column) => `o.${column}::text COLLATE "C" IS DISTINCT FROM n.${column}::text COLLATE "C"`).join(' OR ')})) c`
      : changed;
  const several =
    event === 'update' ? `SELECT DISTINCT ${keysOf} FROM (${changed}) c` : rows(present, 'SELECT DISTINCT');
  const each = { ...eachRow(marks(several)), one: marks(one) };
  if (!many || wild > 0) return each;
  const arrays = known.map(({ at }) => `g${at}`);
  return {
    ...each,
    many: (
      limit,
    ) => `${target(arrays)} SELECT ${start}, ${columns.map((column) => `array_agg(d.${column})`).join(', ')}, ${wild}
          FROM (SELECT d.* FROM (${several} WHERE ${inGroup}) d LIMIT ${limit}) d HAVING count(*) > 0
        RETURNING cardinality(${arrays[0]}) INTO written;`,
  };
}

function ofRow(row: string, columns: readonly string[]): string {
  return columns.map((column) => `${row}.${column}`).join(', ');
}

/** The rows of a statement that count, each with its columns of tenant and key as `n0`, `n1`, ... */
function changedRows(
  group: Signature,
  named: readonly string[],
  { inserted, deleted }: RowsOf,
  event: MarkedEvent,
  types: ReadonlyMap<string, MarkColumn>,
): string {
  const names = named.map((column, at) => `${distinct(column, types.get(column)?.type)} AS n${at}`);
  if (event === 'insert') return `SELECT ${names.join(', ')} FROM ${inserted} t`;
  if (event === 'delete') return `SELECT ${names.join(', ')} FROM ${deleted} t`;
  const compared = [...group.reads].map(
    (column, at) => `${comparable(column, types.get(column)?.type)} AS c${at}`,
  );
  const of = (rows: string): string => `SELECT ${[...names, ...compared].join(', ')} FROM ${rows} t`;
  return `(${of(deleted)} EXCEPT ALL ${of(inserted)}) UNION ALL (${of(inserted)} EXCEPT ALL ${of(deleted)})`;
}

/** Types of tenants and keys whose text depends on settings of the session. */
const unsettled = ['timestamptz', 'timetz', 'interval', 'bytea', 'float4', 'float8', 'money'];

/** What the function of a table sets for itself, and a line of its body that differs with it. */
export interface MarkSettings {
  readonly sql: string;
  readonly why: string;
}

const none: MarkSettings = { sql: '', why: '' };
const sameTexts: MarkSettings = {
  sql: `\nSET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET bytea_output = 'hex' SET extra_float_digits = 1 SET lc_monetary = 'C'`,
  why: '\n-- Its settings make texts of keys the same for every writer.',
};
const allDigits: MarkSettings = {
  sql: '\nSET extra_float_digits = 1',
  why: '\n-- Its setting makes texts that are compared hold all digits.',
};

/** The settings that the function of a table needs, because it tells or compares texts that depend on them. */
export function settingsOf(
  rules: readonly MarkRule[],
  columns: ReadonlyMap<string, MarkColumn>,
): MarkSettings {
  const typeOf = (name: string): string => columns.get(name)?.type ?? '';
  const tells = rules.some(
    ({ rollup, tenant, key }) =>
      rollup === undefined &&
      [...Object.values(key), tenant ?? ''].some((name) => unsettled.includes(typeOf(name))),
  );
  if (tells) return sameTexts;
  return rules.every((rule) => readsOf(rule).every((name) => lossless.has(typeOf(name)))) ? none : allDigits;
}

/** Types whose `=` says "no difference that a query could show". */
const exact = ['bool', 'int2', 'int4', 'int8', 'uuid', 'date', 'timestamp', 'timestamptz', 'bytea', 'oid'];
const textual = ['text', 'varchar', 'bpchar', 'name'];
/** Types whose text holds all of a value in any session; floats, and what may hold them, do not without all digits. */
const lossless = new Set([
  ...exact,
  ...textual,
  ...['numeric', 'json', 'jsonb', 'xml', 'time', 'timetz', 'interval', 'money', 'inet', 'cidr', 'macaddr'],
  ...['bit', 'varbit', 'tsvector', 'int4range', 'int8range', 'numrange', 'daterange', 'tsrange', 'tstzrange'],
  ...['_text', '_varchar', '_int2', '_int4', '_int8', '_uuid', '_numeric', '_jsonb'],
]);

/** The column as something that has an exact `=`: json has none, numeric takes 1.0 for 1.00, text may fold case. */
function comparable(column: string, type = ''): string {
  const name = `t.${quoteIdentifier(column)}`;
  return exact.includes(type) ? name : `${name}::text COLLATE "C"`;
}

/** The column as something that has an `=` and becomes the same text and JSON. */
function distinct(column: string, type = ''): string {
  const name = `t.${quoteIdentifier(column)}`;
  if (exact.includes(type)) return name;
  return textual.includes(type) ? `${name} COLLATE "C"` : `${name}::text COLLATE "C"`;
}
