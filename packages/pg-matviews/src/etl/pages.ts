import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { bound, type Column, ordered } from './columns.ts';
import type { CheckedEtl } from './definition.ts';
import type { Fit } from './fit.ts';

/** How many rows travel at once. */
export const pageRows = 2_000;

/** Rows of the remote relation; values are text, so that no type parser of the driver bends one. */
export interface Page {
  /** Keys in their order. */
  readonly keys: readonly string[];
  /** One JSON object per row. */
  readonly rows: readonly string[];
}

/** The first rows after a key, in the order of the key, from one execution of the query. */
export async function* wholePages(
  remote: SqlExecutor,
  etl: CheckedEtl,
  fit: Fit,
  after: string | undefined,
  limit: number,
): AsyncGenerator<Page> {
  const query = `SELECT ${asText(fit.columns)} ${rowsAfter(etl, fit, after, limit)}`;
  for await (const rows of fetched<TextRow>(remote, 'cachekit_rows', rowsSql(query, fit))) yield asPage(rows);
}

/** What follows the columns of a SELECT of the first rows after a key. */
export function rowsAfter(etl: CheckedEtl, fit: Fit, after: string | undefined, limit: number): string {
  const key = ordered(`v.${quoteIdentifier(fit.key.name)}`, fit.key);
  const rest = after === undefined ? '' : ` WHERE ${key} > ${bound(quoteLiteral(after), fit.key)}`;
  return `FROM ${etl.from} v${rest} ORDER BY ${key} LIMIT ${limit}`;
}

/** Pages of keys from a query that gives them as `k`. */
export async function* keyPages(remote: SqlExecutor, query: string): AsyncGenerator<readonly string[]> {
  for await (const rows of fetched<{ k: string }>(remote, 'cachekit_keys', query)) {
    yield rows.map(({ k }) => k);
  }
}

/**
 * The rows of some keys, looked up one by one; keys that are equal, though written in two ways, give one row.
 *
 * A list of keys is not carried below GROUP BY by the planner, so the aggregates of a view would be computed for every
 * row there is; one key is, and OFFSET 0 keeps the lookups apart.
 */
export async function pageOfKeys(
  remote: SqlExecutor,
  etl: CheckedEtl,
  fit: Fit,
  keys: readonly string[],
): Promise<Page> {
  const query = `SELECT ${asText(fit.columns)} FROM ${etl.from} v
    WHERE v.${quoteIdentifier(fit.key.name)} = d.k OFFSET 0`;
  const { rows } = await remote.query<TextRow & { asked: string }>(
    `SELECT d.asked, l.k, l.row FROM (SELECT u.asked, u.asked::${lookedUpAs(fit)} AS k FROM unnest($1::text[]) u (asked)) d
     CROSS JOIN LATERAL (${rowsSql(query, fit)}) l`,
    [keys],
  );
  const askedFirst = new Map<string, string>();
  return asPage(
    rows.filter(({ asked, k }) => {
      const first = askedFirst.get(k) ?? asked;
      askedFirst.set(k, first);
      return first === asked;
    }),
  );
}

/** Text takes every type in, but is compared with none. */
function lookedUpAs({ key, sent }: Fit): string {
  return (key.type === 'text' ? sent[0]?.type : undefined) ?? key.type;
}

interface TextRow {
  readonly k: string;
  readonly row: string;
}

const rowsSql = (query: string, fit: Fit): string =>
  `SELECT q.${quoteIdentifier(fit.key.name)} AS k, to_json(q.*)::text AS row FROM (${query}) q`;

const asPage = (rows: readonly TextRow[]): Page => ({
  keys: rows.map(({ k }) => k),
  rows: rows.map(({ row }) => row),
});

function asText(columns: readonly Column[]): string {
  return columns.map(({ name }) => `v.${quoteIdentifier(name)}::text AS ${quoteIdentifier(name)}`).join(', ');
}

async function* fetched<Row>(sql: SqlExecutor, cursor: string, query: string): AsyncGenerator<Row[]> {
  await sql.query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${query}`);
  for (;;) {
    const { rows } = await sql.query<Row>(`FETCH ${pageRows} FROM ${cursor}`);
    if (rows.length > 0) yield rows;
    if (rows.length < pageRows) break;
  }
  await sql.query(`CLOSE ${cursor}`);
}
