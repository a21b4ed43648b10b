import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { nameOf, scanSql } from '../sql/scan.ts';
import { understood } from './probe.ts';
import type { ReadQuery, Rewriting } from './rewriting.ts';
import { closing, joined, listOf, namedExpression, selectText } from './select-text.ts';

/** Averages that are stored without the sum and the count they are made of. */
export async function storedAverages(
  sql: SqlExecutor,
  { view, query }: ReadQuery,
): Promise<readonly Rewriting[]> {
  const parsed = selectText(query);
  if (view.kind !== 'm' || parsed === undefined || !/\bavg\(/.test(parsed.select)) return [];
  const items = listOf(parsed.select).map(namedExpression);
  const shown = items.map((item) => squeezed(item.sql)).join('\n');
  const names = new Set(items.map(({ name }) => name));
  const added: string[] = [];
  const averages: string[] = [];
  for (const { sql: expression, name } of items) {
    const of = averaged(expression);
    if (of === undefined) continue;
    const stored = await partsStored(sql, view.oid, parsed.from, of, shown);
    const parts = (['sum', 'count'] as const).filter((part) => !stored.includes(part));
    if (parts.length === 0) continue;
    averages.push(name);
    for (const part of parts) {
      const column = `${name}_${part}`;
      if (!names.has(column)) added.push(`${part}${of} AS ${quoteIdentifier(column)}`);
      names.add(column);
    }
  }
  if (averages.length === 0) return [];
  const mended = joined({ ...parsed, select: [parsed.select, ...added].join(',\n    ') });
  if ((await understood(sql, mended)) === undefined) return [];
  return [
    {
      defect: 'average-stored',
      reason: `It stores the average ${averages.join(', ')} without its sum and count, and an average of averages is wrong: nobody can sum the view up to a month. Store sum and count beside it.`,
      query: mended,
    },
  ];
}

/** What of the sum and the count of an average the select list has. `count(*)` counts too what cannot be NULL. */
async function partsStored(
  sql: SqlExecutor,
  oid: string,
  from: string,
  of: string,
  shown: string,
): Promise<readonly string[]> {
  const has = (call: string): boolean => {
    const text = squeezed(call);
    for (let at = shown.indexOf(text); at >= 0; at = shown.indexOf(text, at + 1)) {
      if (!shown.startsWith(' FILTER', at + text.length)) return true;
    }
    return false;
  };
  const found = ['sum', 'count'].filter((part) => has(`${part}${of}`));
  const column = /^\(((?:[^()]+\.)?[^().]+)\)/.exec(of)?.[1];
  if (found.includes('count') || column === undefined || !has(of.replace(/^\([^()]+\)/, 'count(*)')))
    return found;
  const name = nameOf(scanSql(column).findLast(({ kind }) => kind === 'word' || kind === 'quoted') ?? none);
  const never = !/\b(LEFT|RIGHT|FULL) JOIN\b/.test(from) && (await neverNull(sql, oid, name));
  return never ? [...found, 'count'] : found;
}

const none = { kind: 'word', text: '' } as const;

/** Whether every column of that name that a view reads is NOT NULL in its table. */
async function neverNull(sql: SqlExecutor, oid: string, column: string): Promise<boolean> {
  const { rows } = await sql.query<{ never: boolean | null }>(
    `SELECT bool_and(a.attnotnull) AS never FROM pg_rewrite r
     JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE r.ev_class = $1::text::oid AND d.refobjsubid > 0 AND a.attname = $2`,
    [oid, column],
  );
  return rows[0]?.never === true;
}

/** `(arguments) FILTER (...)` of the first average in an expression. */
function averaged(expression: string): string | undefined {
  const tokens = scanSql(expression);
  const at = tokens.findIndex(({ text }, i) => text === 'avg' && tokens[i + 1]?.text === '(');
  if (at < 0) return undefined;
  const end = closing(tokens, at + 1);
  const filter = tokens[end + 2]?.text.toLowerCase() === 'filter' ? closing(tokens, end + 4) : end;
  const text = tokens
    .slice(at + 1, filter + 1)
    .map((token) => token.text)
    .join('');
  return /^\(distinct/i.test(text) ? undefined : text;
}

function squeezed(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}
