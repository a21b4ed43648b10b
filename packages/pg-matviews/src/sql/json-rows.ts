import type { SqlExecutor } from '@cachekit/core';

/** Rows of a SELECT by way of JSON text, so that the type parsers of the user's driver do not matter. */
export async function jsonRows<Row>(
  sql: SqlExecutor,
  query: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  const { rows } = await sql.query<{ row: string }>(
    `SELECT to_jsonb(q)::text AS row FROM (${query}) q`,
    parameters,
  );
  return rows.map(({ row }) => JSON.parse(row) as Row);
}
