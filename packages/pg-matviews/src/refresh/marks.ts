import type { SqlExecutor } from '@cachekit/core';
import type { WaitingMarks } from './due.ts';

/** What one look at the mark log shows. */
export interface MarkGlance {
  /** Views with marks. */
  readonly dirty: ReadonlyMap<string, WaitingMarks>;
  /** Writers are asked to wake this consumer. */
  readonly armed: boolean;
  /** Every transaction with a smaller id has ended. */
  readonly horizon: bigint;
}

/** Looks at the marks of `views`; one small statement, which locks nothing. */
export async function glanceAtMarks(
  sql: SqlExecutor,
  views: readonly string[],
  consumer: string,
): Promise<MarkGlance> {
  const { rows } = await sql.query<{ dirty: string; armed: boolean; horizon: string }>(
    `SELECT
       (SELECT coalesce(jsonb_agg(m), '[]'::jsonb)::text FROM (
          SELECT view,
            greatest(0, extract(epoch FROM clock_timestamp() - min(at)) * 1000) AS "oldestMs",
            greatest(0, extract(epoch FROM clock_timestamp() - max(at)) * 1000) AS "newestMs"
          FROM cachekit.mark WHERE view = ANY ($1::text[]) GROUP BY view) m) AS dirty,
       coalesce((SELECT w.armed FROM cachekit.wake w WHERE w.name = $2), false) AS armed,
       pg_snapshot_xmin(pg_current_snapshot())::text AS horizon`,
    [views, consumer],
  );
  const marks = JSON.parse(rows[0]?.dirty ?? '[]') as ({ view: string } & WaitingMarks)[];
  return {
    dirty: new Map(marks.map(({ view, oldestMs, newestMs }) => [view, { oldestMs, newestMs }])),
    armed: rows[0]?.armed ?? false,
    horizon: BigInt(rows[0]?.horizon ?? 0),
  };
}

/** What a refresh takes from the log. */
export interface TakenMarks {
  readonly marks: number;
  /** As a JSON array of `{ tenant, key }`; what is covered by another entry is left out. */
  readonly changes: string;
}

/** Above so many keys the refresh tells the tenants instead, and above so many tenants "everything". */
const mostKeys = 1_000;
const mostTenants = 10_000;

/** Removes every mark of the view that is visible now, and says what they were about. */
export async function takeMarks(sql: SqlExecutor, view: string): Promise<TakenMarks> {
  const { rows } = await sql.query<{ marks: string; changes: string }>(takeSql, [
    view,
    mostKeys,
    mostTenants,
  ]);
  const [taken] = rows;
  return { marks: Number(taken?.marks ?? 0), changes: taken?.changes ?? '[]' };
}

const takeSql = `
WITH taken AS (
  DELETE FROM ONLY cachekit.mark WHERE view = $1 RETURNING tenant, coalesce(key, '{}'::jsonb) AS key, everything
), changed AS (
  SELECT DISTINCT tenant, key FROM taken WHERE NOT everything
), narrowed AS (
  SELECT c.tenant, c.key FROM changed c
  WHERE c.key = '{}'::jsonb OR NOT EXISTS (
    SELECT FROM changed w WHERE w.tenant IS NOT DISTINCT FROM c.tenant AND w.key = '{}'::jsonb)
), tenants AS (
  SELECT DISTINCT tenant FROM narrowed
)
SELECT (SELECT count(*) FROM taken)::text AS marks,
  CASE
    WHEN (SELECT bool_or(everything OR (tenant IS NULL AND key = '{}'::jsonb)) FROM taken)
      OR (SELECT count(*) FROM tenants) > $3::integer THEN '[{"key": {}}]'
    WHEN (SELECT count(*) FROM narrowed) > $2::integer
      THEN (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('tenant', tenant)) || '{"key": {}}'::jsonb ORDER BY tenant) FROM tenants)::text
    ELSE coalesce((SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('tenant', tenant)) || jsonb_build_object('key', key) ORDER BY tenant, key)
                   FROM narrowed), '[]'::jsonb)::text
  END AS changes`;
