import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { scanSql } from '../sql/scan.ts';
import { aliasesIn, type JoinText, joinsOf } from './joins.ts';
import { understood } from './probe.ts';
import type { ReadQuery, Rewriting } from './rewriting.ts';
import { closing, joined, selectText, unwrapped } from './select-text.ts';

/** Joins to several rows under a sum or count of another table, which then counts its rows more than once. */
export async function multipliedRows(sql: SqlExecutor, { query }: ReadQuery): Promise<readonly Rewriting[]> {
  const parsed = selectText(query);
  if (parsed === undefined) return [];
  const summed = aggregatedAliases(parsed.select);
  const joins = joinsOf(parsed.from);
  for (const [at, join] of joins.entries()) {
    const columns = equatedColumns(join);
    // What is joined later may hang below this one; what was there before is multiplied by it.
    const later = new Set(joins.slice(at).map(({ alias }) => alias));
    if (columns.length === 0 || [...summed].every((alias) => later.has(alias))) continue;
    const order = await repeatedBy(sql, join.relation, columns);
    if (order === undefined) continue;
    const on = columns.map(quoteIdentifier).join(', ');
    const one = `(SELECT DISTINCT ON (${on}) * FROM ${join.relation} ORDER BY ${[on, ...order].join(', ')}) ${quoteIdentifier(join.alias)}`;
    const mended = joined({ ...parsed, from: `${join.before}${one} ON ${join.condition}${join.after}` });
    if ((await understood(sql, mended)) === undefined) continue;
    const reason = `${join.relation} has several rows for one ${columns.join(', ')}, so each row it is joined to is summed or counted as often. Join to one row of it.`;
    return [{ defect: 'fan-out-join', reason, query: mended }];
  }
  return [];
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

/** The column of the joined relation, if the condition is one equality with another relation. */
function equatedColumns({ condition, alias }: JoinText): string[] {
  const sides = unwrapped(condition).split(' = ');
  if (sides.length !== 2) return [];
  return sides.flatMap((side) => {
    const match = /^(\w+|"[^"]+")\.(\w+|"[^"]+")$/.exec(side.trim());
    const [name, column] = [match?.[1], match?.[2]].map((part) => part?.replaceAll('"', ''));
    return name === alias && column !== undefined ? [column] : [];
  });
}

/** What to order the rows of one value by, the last first; `undefined` if no value has two rows. */
async function repeatedBy(
  sql: SqlExecutor,
  relation: string,
  columns: readonly string[],
): Promise<readonly string[] | undefined> {
  const list = columns.map(quoteIdentifier).join(', ');
  const [table] = await jsonRows<{ unique: boolean; key: readonly string[] }>(
    sql,
    `SELECT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL
         AND x.indexprs IS NULL AND (SELECT array_agg(a.attname::text) FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum = ANY (x.indkey)) <@ ARRAY(SELECT jsonb_array_elements_text($2::jsonb))) AS unique,
       (SELECT coalesce(jsonb_agg(format('%I DESC', a.attname)), '[]'::jsonb) FROM pg_index x JOIN pg_attribute a
          ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey) WHERE x.indrelid = c.oid AND x.indisprimary) AS key
     FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'm')`,
    [relation, JSON.stringify(columns)],
  );
  if (table === undefined || table.unique) return undefined;
  const [data] = await jsonRows<{ repeated: boolean }>(
    sql,
    `SELECT EXISTS (SELECT FROM ${relation} GROUP BY ${list} HAVING count(*) > 1) AS repeated`,
  );
  return data?.repeated === true ? table.key : undefined;
}
