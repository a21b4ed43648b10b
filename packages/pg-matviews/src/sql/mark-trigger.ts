import { quoteIdentifier, quoteLiteral, wakeChannel, wakeSql } from '@cachekit/core/postgres';
import { fittingIdentifier } from '../identifier.ts';

/** What writers tell the refresher they wake. */
export const wakeSubject = 'view';

/** How a write to one table marks one view. */
export interface MarkRule {
  readonly view: string;
  readonly tenant: string | null;
  /** View column to table column. */
  readonly key: Readonly<Record<string, string>>;
  /** An update counts only if one of these changed. */
  readonly columns: readonly string[];
  /** The view is a rollup, which has a log of its own. */
  readonly rollup?: LogMark;
}

/** What is written to the log of a rollup. */
export interface LogMark {
  /** Qualified and quoted. */
  readonly log: string;
  /** Each key as SQL over a row `t` of the table; `undefined`: the table does not know it, so it may be any. */
  readonly keys: readonly (string | undefined)[];
  /** `wild` of a mark that is about every group. */
  readonly mask: number;
}

/** The events that mark, each with a trigger of its own: one with transition tables can name one event only. */
export const markEvents = ['insert', 'update', 'delete', 'truncate'] as const;

/** Name of the trigger of an event. */
export function markTriggerName(event: (typeof markEvents)[number]): string {
  return `cachekit_mark_${event}`;
}

/** The function all triggers of a table call. */
export function markFunctionName(table: string): string {
  return `cachekit.${quoteIdentifier(fittingIdentifier(`mark_${table.replaceAll('"', '')}`))}`;
}

/**
 * Body of the trigger function of a table.
 *
 * It must never make the user's statement fail: it runs with the rights of its owner, finds its own names under any
 * search path, and probes whether the columns it reads are still there. The probe is the only thing inside an
 * exception block, and as it writes nothing, it takes no subtransaction id; if it fails, everything is marked.
 * An update marks the rows that differ in a column that counts, before and after.
 *
 * The probe is never executed, only analysed, and rides on the one look at what else must be known: whether somebody
 * is to be woken, and whether the statement was about more than one row. The flag may be read before the marks are
 * written, because whoever changed a row has a transaction id.
 */
export function markFunctionBody(
  table: string,
  rules: readonly MarkRule[],
  types: ReadonlyMap<string, string>,
): string {
  const groups = signatures(rules.filter(({ rollup }) => rollup === undefined));
  const rollups = rules.flatMap((rule) =>
    rule.rollup === undefined ? [] : [{ ...rule, rollup: rule.rollup }],
  );
  const logs = rollups.map(({ rollup }) => `${rollup.log}, `).join('');
  const reads = [...groups.flatMap((group) => [...group.reads]), ...rollups.flatMap(readsOf)];
  const tables = `${logs}${groups.length === 0 ? '' : 'ONLY cachekit.mark, '}cachekit.wake`;
  const look = (
    rows: string,
    many: string,
  ): string => `SELECT EXISTS (SELECT FROM cachekit.wake w WHERE w.subject = ${quoteLiteral(wakeSubject)} AND w.armed), ${many}
      INTO armed, many FROM (VALUES (1)) o
      WHERE true OR EXISTS (SELECT FROM ${tables}, (SELECT ${[...new Set(reads)].map((column) => `t.${quoteIdentifier(column)}`).join(', ')} FROM ${rows} t) t);`;
  const per = (event: MarkedEvent): string =>
    [
      ...(groups.length === 0
        ? []
        : [
            `INSERT INTO cachekit.mark (view, source, tenant, key, everything)
    ${groups.map((group) => marksSql(table, group, event, types)).join('\n    UNION ALL ')};`,
          ]),
      ...rollups.map((rule) => logSql(table, rule, event, types)),
    ].join('\n    ');
  const natives = rules.filter(({ rollup }) => rollup === undefined);
  const everything = [
    ...(natives.length === 0
      ? []
      : [
          `INSERT INTO cachekit.mark (view, source, everything)
  VALUES ${natives.map((rule) => `(${quoteLiteral(rule.view)}, ${quoteLiteral(table)}, true)`).join(', ')};`,
        ]),
    ...rollups.map(
      ({ view, rollup }) =>
        `INSERT INTO ${rollup.log} (view, source, everything, wild) VALUES (${quoteLiteral(view)}, ${quoteLiteral(table)}, true, ${rollup.mask});`,
    ),
  ].join('\n    ');
  return `
DECLARE
  armed boolean;
  many boolean;
BEGIN
  BEGIN
    IF TG_OP = 'INSERT' THEN
      ${look('new_rows', 'EXISTS (SELECT FROM new_rows OFFSET 1)')}
    ELSIF TG_OP = 'UPDATE' THEN
      ${look('new_rows', 'EXISTS (SELECT FROM old_rows OFFSET 1) OR NOT EXISTS (SELECT FROM new_rows)')}
    ELSIF TG_OP = 'DELETE' THEN
      ${look('old_rows', 'EXISTS (SELECT FROM old_rows OFFSET 1)')}
    ELSE
      PERFORM FROM ${tables} WHERE false;
    END IF;
  EXCEPTION
    WHEN undefined_table OR invalid_schema_name THEN
      RETURN NULL;
    WHEN undefined_column THEN
      many := NULL;
  END;
  IF many IS NULL THEN
    ${everything}
    ${wakeSql(wakeSubject)};
    RETURN NULL;
  ELSIF TG_OP = 'INSERT' THEN
    ${per('insert')}
  ELSIF TG_OP = 'UPDATE' THEN
    ${per('update')}
  ELSE
    ${per('delete')}
  END IF;
  IF armed THEN
    PERFORM pg_catalog.pg_notify(${quoteLiteral(wakeChannel(wakeSubject))}, '');
  END IF;
  RETURN NULL;
END`;
}

/** The statement that creates or replaces the function of a table. */
export function markFunctionSql(table: string, body: string): string {
  return `CREATE OR REPLACE FUNCTION ${markFunctionName(table)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS ${quoteLiteral(body).trim()}`;
}

/** The statement that creates the trigger of one event; it takes SHARE ROW EXCLUSIVE on the table. */
export function markTriggerSql(table: string, on: string, event: (typeof markEvents)[number]): string {
  const transition = {
    insert: 'REFERENCING NEW TABLE AS new_rows ',
    update: 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows ',
    delete: 'REFERENCING OLD TABLE AS old_rows ',
    truncate: '',
  };
  return `CREATE OR REPLACE TRIGGER ${markTriggerName(event)} AFTER ${event.toUpperCase()} ON ${on} ${transition[event]}FOR EACH STATEMENT EXECUTE FUNCTION ${markFunctionName(table)}()`;
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
  event: MarkedEvent,
  types: ReadonlyMap<string, string>,
): string {
  const views = `(VALUES ${group.views.map((view) => `(${quoteLiteral(view)})`).join(', ')}) v (view)`;
  const named = [...(group.tenant === null ? [] : [group.tenant]), ...group.key.map(([, column]) => column)];
  const changed = changedRows(group, named, event, types);
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

/** Columns of the table whose change counts for a rollup, with those of a key that another table knows. */
function readsOf({ columns, key }: MarkRule): string[] {
  return [...columns, ...Object.values(key)];
}

/**
 * The marks of a rollup: the keys of the rows that count, once each. A row with NULL in its key is in no group. For one
 * row, which is what most statements are about, there is nothing to sort out; its keys before and after are compared
 * as text, because a type may have its operators where the function does not look.
 */
function logSql(
  table: string,
  rule: RollupRule,
  event: MarkedEvent,
  types: ReadonlyMap<string, string>,
): string {
  const { log, keys } = rule.rollup;
  const known = keys.flatMap((sql, at) => (sql === undefined ? [] : [{ sql, at }]));
  const wild = keys.reduce<number>((bits, sql, at) => (sql === undefined ? bits + 2 ** at : bits), 0);
  const columns = known.map(({ at }) => `k${at}`);
  const named = known.map(({ sql, at }) => `${sql} AS k${at}`);
  const counted =
    event === 'update'
      ? [...new Set(readsOf(rule))].map((column) => comparable(column, types.get(column)))
      : [];
  const rows = (of: string): string =>
    `SELECT ${[...named, ...counted.map((sql, at) => `${sql} AS c${at}`)].join(', ')} FROM ${of} t`;
  const changed =
    event === 'update'
      ? `(${rows('old_rows')} EXCEPT ALL ${rows('new_rows')}) UNION ALL (${rows('new_rows')} EXCEPT ALL ${rows('old_rows')})`
      : rows(event === 'insert' ? 'new_rows' : 'old_rows');
  const target = `INSERT INTO ${log} (${['view', 'source', ...columns, 'wild'].join(', ')})`;
  const start = `${quoteLiteral(rule.view)}, ${quoteLiteral(table)}`;
  if (known.length === 0) return `${target} SELECT ${start}, ${wild} WHERE EXISTS (${changed});`;
  const marks = (
    of: string,
  ): string => `${target} SELECT ${start}, ${columns.map((column) => `d.${column}`).join(', ')}, ${wild}
    FROM (${of}) d
    WHERE ${columns.map((column) => `d.${column} IS NOT NULL`).join(' AND ')};`;
  const keysOf = columns.join(', ');
  const one =
    event === 'update'
      ? `SELECT v.* FROM (${rows('old_rows')}) o CROSS JOIN (${rows('new_rows')}) n
      CROSS JOIN LATERAL (VALUES (true, ${ofRow('o', columns)}), (false, ${ofRow('n', columns)})) v (before, ${keysOf})
      WHERE (${counted.map((_, at) => `o.c${at} IS DISTINCT FROM n.c${at}`).join(' OR ')})
        AND (v.before OR ${columns.map((column) => `o.${column}::text COLLATE "C" IS DISTINCT FROM n.${column}::text COLLATE "C"`).join(' OR ')})`
      : changed;
  return `IF many THEN
      ${marks(`SELECT DISTINCT ${keysOf} FROM (${changed}) c`)}
    ELSE
      ${marks(one)}
    END IF;`;
}

function ofRow(row: string, columns: readonly string[]): string {
  return columns.map((column) => `${row}.${column}`).join(', ');
}

/** The rows of a statement that count, each with its columns of tenant and key as `n0`, `n1`, ... */
function changedRows(
  group: Signature,
  named: readonly string[],
  event: MarkedEvent,
  types: ReadonlyMap<string, string>,
): string {
  const names = named.map((column, at) => `${distinct(column, types.get(column))} AS n${at}`);
  if (event === 'insert') return `SELECT ${names.join(', ')} FROM new_rows t`;
  if (event === 'delete') return `SELECT ${names.join(', ')} FROM old_rows t`;
  const compared = [...group.reads].map((column, at) => `${comparable(column, types.get(column))} AS c${at}`);
  const from = (rows: string): string => `SELECT ${[...names, ...compared].join(', ')} FROM ${rows} t`;
  return `(${from('old_rows')} EXCEPT ALL ${from('new_rows')}) UNION ALL (${from('new_rows')} EXCEPT ALL ${from('old_rows')})`;
}

/** Types whose `=` says "no difference that a query could show". */
const exact = ['bool', 'int2', 'int4', 'int8', 'uuid', 'date', 'timestamp', 'timestamptz', 'bytea', 'oid'];
const textual = ['text', 'varchar', 'bpchar', 'name'];

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
