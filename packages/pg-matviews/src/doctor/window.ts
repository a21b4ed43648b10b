import type { SqlExecutor } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';
import { understood } from './probe.ts';
import type { ReadQuery, Rewriting } from './rewriting.ts';
import { selectText } from './select-text.ts';

const ragged = />=? \(((?:now\(\)|CURRENT_TIMESTAMP) - '[^']*'::interval)\)/g;
const zoneOf = /date_trunc\('\w+'::text, .*, '([^']+)'::text\)|AT TIME ZONE '([^']+)'/;

/** Windows that begin now, some time ago, over buckets that begin at midnight. */
export async function raggedWindows(
  sql: SqlExecutor,
  { view, query, zone }: ReadQuery,
): Promise<readonly Rewriting[]> {
  const parsed = selectText(query);
  const bucket = parsed?.groups.find((group) => /date_trunc\(|::date\b/.test(group));
  if (view.kind !== 'm' || bucket === undefined || query.search(ragged) < 0) return [];
  const unit = /date_trunc\('(\w+)'/.exec(bucket)?.[1] ?? 'day';
  const by = zoneOf.exec(bucket);
  const named = by?.[1] ?? by?.[2] ?? zone;
  const mended = query.replaceAll(
    ragged,
    (_, begin: string) => `>= date_trunc(${quoteLiteral(unit)}, ${begin}, ${quoteLiteral(named)})`,
  );
  if ((await understood(sql, mended)) === undefined) return [];
  return [
    {
      defect: 'window-not-aligned',
      reason: `Its window begins in the middle of a ${unit}, so the first ${unit} holds a part of its rows, and fewer with each refresh. Begin at the bucket.`,
      query: mended,
    },
  ];
}
