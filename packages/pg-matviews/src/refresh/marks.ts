import type { SqlExecutor } from '@cachekit/core';
import { retryMs, type WaitingMarks } from './due.ts';

/** What one look at the mark log shows. */
export interface MarkGlance {
  /** Views with marks that nobody paused. */
  readonly dirty: ReadonlyMap<string, WaitingMarks>;
  /** Writers are asked to wake this consumer. */
  readonly armed: boolean;
  /** Every transaction with a smaller id has ended. */
  readonly horizon: bigint;
}

interface MarkedRow extends WaitingMarks {
  readonly view: string;
  readonly failures: number;
  readonly failedMs: number | null;
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
          SELECT v.name AS view, v.failures,
            greatest(0, extract(epoch FROM clock_timestamp() - k.oldest) * 1000) AS "oldestMs",
            greatest(0, extract(epoch FROM clock_timestamp() - k.newest) * 1000) AS "newestMs",
            greatest(0, extract(epoch FROM clock_timestamp() - v.failed_at) * 1000) AS "failedMs"
          FROM (SELECT view, min(at) AS oldest, max(at) AS newest FROM cachekit.mark WHERE view = ANY ($1::text[]) GROUP BY view) k
          JOIN cachekit.view v ON v.name = k.view AND v.paused IS NULL) m) AS dirty,
       coalesce((SELECT w.armed FROM cachekit.wake w WHERE w.name = $2), false) AS armed,
       pg_snapshot_xmin(pg_current_snapshot())::text AS horizon`,
    [views, consumer],
  );
  const marks = JSON.parse(rows[0]?.dirty ?? '[]') as MarkedRow[];
  return {
    dirty: new Map(
      marks.map(({ view, oldestMs, newestMs, failures, failedMs }) => [
        view,
        { oldestMs, newestMs, backOffMs: failures === 0 ? 0 : retryMs(failures) - (failedMs ?? 0) },
      ]),
    ),
    armed: rows[0]?.armed ?? false,
    horizon: BigInt(rows[0]?.horizon ?? 0),
  };
}
