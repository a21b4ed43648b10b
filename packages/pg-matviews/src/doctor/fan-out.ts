import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { scanSql } from '../sql/scan.ts';
import { aliasesIn, type JoinText, joinsOf } from './joins.ts';
import { ifReadable, understood } from './probe.ts';
import type { ReadQuery, Rewriting } from './rewriting.ts';
import { closing, joined, selectText, unwrapped } from './select-text.ts';

/**
 * Joins to several rows where one was meant: under a sum or count of another table, which then counts its rows more than
 * once, or in a view that stored ones read and that has one row per key as far as its other joins by that key go.
 */
export async function multipliedRows(
  sql: SqlExecutor,
  { view, query, stored }: ReadQuery,
): Promise<readonly Rewriting[]> {
  const parsed = selectText(query);
  if (parsed === undefined) return [];
  const summed = aggregatedAliases(parsed.select);
  const perKey = stored && view.kind === 'v' && summed.size === 0 && parsed.groups.length === 0;
  const joins = joinsOf(parsed.from);
  for (const [at, join] of joins.entries()) {
    const by = equality(join);
    if (by === undefined) continue;
    // What is joined later may hang below this one; what was there before is multiplied by it.
    const later = new Set(joins.slice(at).map(({ alias }) => alias));
    const others = perKey
      ? joins.filter((other) => other !== join && equality(other)?.outer === by.outer)
      : [];
    if ([...summed].every((alias) => later.has(alias)) && others.length === 0) continue;
    const order = await repeatedBy(sql, join.relation, by.column);
    if (order === undefined || (perKey && !(await anyIsOnce(sql, others)))) continue;
    const on = quoteIdentifier(by.column);
    const one = `(SELECT DISTINCT ON (${on}) * FROM ${join.relation} ORDER BY ${[on, ...order].join(', ')}) ${quoteIdentifier(join.alias)}`;
    const mended = joined({ ...parsed, from: `${join.before}${one} ON ${join.condition}${join.after}` });
    if ((await understood(sql, mended)) === undefined) continue;
    const reason = `${join.relation} has several rows for one ${by.column}, so each row it is joined to is ${perKey ? 'there, and counted above,' : 'summed or counted'} as often. Join to one row of it.`;
    return [{ defect: 'fan-out-join', reason, query: mended }];
  }
  return [];
}

async function anyIsOnce(sql: SqlExecutor, joins: readonly JoinText[]): Promise<boolean> {
  for (const join of joins) {
    const by = equality(join);
    if (by !== undefined && (await repeatedBy(sql, join.relation, by.column)) === undefined) return true;
  }
  return false;
}

/** Whose columns are summed or counted, not distinct. */
function aggregatedAliases(select: string): Set<string> {
  const tokens = scanSql(select);
  const found = new Set<string>();
  tokens.forEach((token, at) => {
    if (!['sum', 'count', 'avg'].includes(token.text) || tokens[at + 1]?.text !== '(') return;
    const argument = tokens
      .slice(at + 2, closing(tokens, at + 1))
      .map(({ text }) => text)
      .join('');
    if (!/^distinct\b/i.test(argument)) for (const alias of aliasesIn(argument)) found.add(alias);
  });
  return found;
}

/** The column of the joined relation and what it must equal, if the condition is that and no more. */
function equality({
  condition,
  alias,
}: JoinText): { readonly column: string; readonly outer: string } | undefined {
  const sides = unwrapped(condition)
    .split(' = ')
    .map((side) => side.trim());
  if (sides.length !== 2) return undefined;
  for (const [at, side] of sides.entries()) {
    const match = /^(\w+|"[^"]+")\.(\w+|"[^"]+")$/.exec(side);
    const [name, column] = [match?.[1], match?.[2]].map((part) => part?.replaceAll('"', ''));
    if (name === alias && column !== undefined) return { column, outer: sides[1 - at] ?? '' };
  }
  return undefined;
}

/** What to order the rows of one value by, the last first; `undefined` if no value has two rows. */
async function repeatedBy(
  sql: SqlExecutor,
  relation: string,
  column: string,
): Promise<readonly string[] | undefined> {
  const [table] = await jsonRows<{ unique: boolean; key: readonly string[] }>(
    sql,
    `SELECT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL
         AND x.indexprs IS NULL AND (SELECT array_agg(a.attname::text) FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum = ANY (x.indkey)) = ARRAY[$2::text]) AS unique,
       (SELECT coalesce(jsonb_agg(format('%I DESC', a.attname)), '[]'::jsonb) FROM pg_index x JOIN pg_attribute a
          ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey) WHERE x.indrelid = c.oid AND x.indisprimary) AS key
     FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'm', 'v')`,
    [relation, column],
  );
  if (table === undefined || table.unique) return undefined;
  const asked = `SELECT EXISTS (SELECT FROM ${relation} WHERE ${quoteIdentifier(column)} IS NOT NULL GROUP BY ${quoteIdentifier(column)} HAVING count(*) > 1) AS repeated`;
  const [data] =
    (await ifReadable(sql, (savepoint) => jsonRows<{ repeated: boolean }>(savepoint, asked))) ?? [];
  return data?.repeated === true ? table.key : undefined;
}
