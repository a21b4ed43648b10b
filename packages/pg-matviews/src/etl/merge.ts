import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { batchesOf } from './batches.ts';
import { bound, type Column, ordered } from './columns.ts';
import type { CheckedEtl } from './definition.ts';
import type { Fit } from './fit.ts';
import type { Page } from './pages.ts';

/** How many rows a merge changed. */
export interface Merged {
  inserted: number;
  updated: number;
  deleted: number;
}

/**
 * Writes what differs; a row that is the same already is not touched, so its triggers mark nothing. Values are compared as they are
 * stored: `1.0` and `1.00` are equal, but not the same.
 */
export async function mergePage(local: SqlExecutor, etl: CheckedEtl, fit: Fit, page: Page): Promise<Merged> {
  const merged = { inserted: 0, updated: 0, deleted: 0 };
  for (const batch of batchesOf(page.rows)) {
    const { rows } = await local.query<{ inserted: string; updated: string }>(mergeSql(etl, fit), [
      `[${batch.join(',')}]`,
    ]);
    merged.inserted += Number(rows[0]?.inserted);
    merged.updated += Number(rows[0]?.updated);
  }
  return merged;
}

/** Deletes rows by their keys, but those that are kept: a key may be equal to one that is written in another way. */
export async function deleteKeys(
  local: SqlExecutor,
  etl: CheckedEtl,
  key: Column,
  keys: readonly string[],
  kept: readonly string[],
): Promise<number> {
  if (keys.length === 0) return 0;
  const name = quoteIdentifier(key.name);
  const { rowCount } = await local.query(
    `DELETE FROM ${etl.to} WHERE ${name} = ANY($1::text[]::${key.type}[]) AND ${name}::text COLLATE "C" <> ALL($2::text[])`,
    [keys, kept],
  );
  return rowCount;
}

/** Deletes the rows after one key and up to another, both exclusive of what is kept; open ends are undefined. */
export async function deleteBetween(
  local: SqlExecutor,
  etl: CheckedEtl,
  key: Column,
  after: string | undefined,
  last: string | undefined,
  kept: readonly string[],
): Promise<number> {
  const k = ordered(`t.${quoteIdentifier(key.name)}`, key);
  const { rowCount } = await local.query(
    `DELETE FROM ${etl.to} t WHERE ($2::text IS NULL OR ${k} > ${bound('$2', key)}) AND ($3::text IS NULL OR ${k} <= ${bound('$3', key)})
       AND NOT EXISTS (SELECT FROM unnest($1::text[]::${key.type}[]) kept(k) WHERE kept.k = t.${quoteIdentifier(key.name)})`,
    [kept, after ?? null, last ?? null],
  );
  return rowCount;
}

/** Whether the table holds rows after a key that a load might have to delete. */
export async function holdsAfter(
  local: SqlExecutor,
  etl: CheckedEtl,
  key: Column,
  after: string | undefined,
): Promise<boolean> {
  const k = ordered(`t.${quoteIdentifier(key.name)}`, key);
  const { rowCount } = await local.query(
    `SELECT FROM ${etl.to} t WHERE ($1::text IS NULL OR ${k} > ${bound('$1', key)}) LIMIT 1`,
    [after ?? null],
  );
  return rowCount > 0;
}

/**
 * Writes the rows of a temporary table whose columns have the types of the remote database.
 *
 * @param staged - The temporary table.
 */
export async function mergeStaged(
  local: SqlExecutor,
  etl: CheckedEtl,
  fit: Fit,
  staged: string,
): Promise<Merged> {
  const { rows } = await local.query<{ inserted: string; updated: string }>(mergeSql(etl, fit, staged));
  return { inserted: Number(rows[0]?.inserted), updated: Number(rows[0]?.updated), deleted: 0 };
}

function mergeSql(etl: CheckedEtl, { key, columns }: Fit, staged?: string): string {
  const names = columns.map(({ name }) => quoteIdentifier(name));
  const others = columns.slice(1);
  const typed = columns.map(({ name, type }) => `r.${quoteIdentifier(name)}::${type}`);
  const texts = names.map((name) => `${name} text`);
  const sets = others.map(({ name }) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`);
  const side = (prefix: string): string =>
    `ROW(${others.map(({ name }) => `${prefix}${quoteIdentifier(name)}`).join(', ')})::record`;
  const conflict =
    others.length === 0
      ? 'DO NOTHING'
      : `DO UPDATE SET ${sets.join(', ')} WHERE ${side('t.')} *<> ${side('excluded.')}`;
  return `WITH written AS (
    INSERT INTO ${etl.to} AS t (${names.join(', ')})
    SELECT ${typed.join(', ')} FROM ${staged === undefined ? `json_to_recordset($1::json) AS r(${texts.join(', ')})` : `${staged} r`}
    ON CONFLICT (${quoteIdentifier(key.name)}) ${conflict} RETURNING t.xmax = 0 AS inserted)
  SELECT count(*) FILTER (WHERE inserted)::text AS inserted, count(*) FILTER (WHERE NOT inserted)::text AS updated FROM written`;
}
