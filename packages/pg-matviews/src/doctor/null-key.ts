import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { relationSql } from '../sql/relation.ts';
import { ifReadable, understood } from './probe.ts';
import type { ReadQuery, Rewriting } from './rewriting.ts';
import { joined, listOf, namedExpression, selectText } from './select-text.ts';

/** What stands for "none" in a key, by the first word of the type. */
const none: Readonly<Record<string, string>> = {
  text: '(none)',
  character: '(none)',
  smallint: '-1',
  integer: '-1',
  bigint: '-1',
  numeric: '-1',
  uuid: '00000000-0000-0000-0000-000000000000',
  date: '-infinity',
  timestamp: '-infinity',
  boolean: 'false',
};

/** NULLs in the unique index that REFRESH ... CONCURRENTLY compares by. */
export async function nullKeys(sql: SqlExecutor, { view, query }: ReadQuery): Promise<readonly Rewriting[]> {
  const keys = [...new Set(view.indexes.filter(({ serves }) => serves).flatMap(({ columns }) => columns))];
  if (view.kind !== 'm' || !view.populated || keys.length === 0) return [];
  const relation = relationSql(view.schema, view.name);
  const asked = `SELECT ${keys.map((key) => `EXISTS (SELECT FROM ${relation} WHERE ${quoteIdentifier(key)} IS NULL) AS ${quoteIdentifier(key)}`).join(', ')}`;
  const [found] =
    (await ifReadable(sql, (savepoint) => jsonRows<Record<string, boolean>>(savepoint, asked))) ?? [];
  const missing = keys.filter((key) => found?.[key] === true);
  if (missing.length === 0) return [];
  const types = await jsonRows<{ name: string; type: string }>(
    sql,
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a
     WHERE a.attrelid = $1::text::oid AND a.attnum > 0 AND NOT a.attisdropped`,
    [view.oid],
  );
  const filled = (item: string): string => {
    const { sql: expression, name } = namedExpression(item);
    const type = missing.includes(name) ? types.find((one) => one.name === name)?.type : undefined;
    const value = none[type?.split(/[ (]/)[0] ?? ''];
    return value === undefined
      ? item
      : `COALESCE(${expression}, ${quoteLiteral(value)}::${type}) AS ${quoteIdentifier(name)}`;
  };
  const parsed = selectText(query);
  const mended =
    parsed === undefined
      ? query
      : joined({ ...parsed, select: listOf(parsed.select).map(filled).join(',\n    ') });
  const reason = `${missing.join(', ')} is NULL in some rows. NULL equals nothing, so REFRESH ... CONCURRENTLY deletes and inserts those rows each time, NULLS NOT DISTINCT or not. Use an id, or a value that stands for none.`;
  return [
    { defect: 'null-key', reason, query: (await understood(sql, mended)) === undefined ? query : mended },
  ];
}
