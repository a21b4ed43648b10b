import type { SqlExecutor } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';
import { scanSql } from '../sql/scan.ts';
import { understood } from './probe.ts';
import type { ReadQuery, Rewriting } from './rewriting.ts';
import { closing, listOf } from './select-text.ts';

/**
 * OIDs, the same in every PostgreSQL, of what follows the session: `date_trunc(text, timestamptz)`,
 * `date(timestamptz)`, `extract(text, timestamptz)` and `to_char(timestamptz, text)`.
 */
const bySession = /:funcid (1217|1178|6203|1770) /g;

/** Buckets of time that are cut by the clock of whoever refreshes or reads. */
export async function sessionZones(
  sql: SqlExecutor,
  { query, stored, zone }: ReadQuery,
): Promise<readonly Rewriting[]> {
  if (!stored || !/date_trunc\(|::date\b|EXTRACT\(|to_char\(/.test(query)) return [];
  let best = query;
  let tree = await understood(sql, best);
  if (tree === undefined || uses(tree.tree) === 0) return [];
  const { columns } = tree;
  // What is over a timestamp without time zone must stay, and only the server knows types: each change has to remove a use.
  const refused = new Set<string>();
  for (;;) {
    const bucket = buckets(best, zone).find(({ written }) => !refused.has(written));
    if (bucket === undefined) break;
    const changed = best.replaceAll(bucket.written, () => bucket.zoned);
    const now = await understood(sql, changed);
    if (now === undefined || now.columns !== columns || uses(now.tree) >= uses(tree.tree)) {
      refused.add(bucket.written);
      continue;
    }
    best = changed;
    tree = now;
  }
  // Seconds since the epoch are the same for all.
  if (best === query && !/:funcid (1217|1178) /.test(tree.tree)) return [];
  const reason = `It cuts a timestamptz into days or the like by the TimeZone of the session, so the same row is in one bucket for whoever refreshes and in another for whoever reads. Say the zone; ${zone} is that of this server.`;
  return [{ defect: 'session-time-zone', reason, query: best }];
}

function uses(tree: string): number {
  return tree.match(bySession)?.length ?? 0;
}

/** Each bucket as it is written, the same in SELECT and in GROUP BY, and with its zone. */
function buckets(query: string, zone: string): { readonly written: string; readonly zoned: string }[] {
  const tokens = scanSql(query);
  const text = (from: number, to: number): string =>
    tokens
      .slice(from, to)
      .map((token) => token.text)
      .join('');
  return tokens.flatMap((token, at) => {
    if (token.text === 'date_trunc' && tokens[at + 1]?.text === '(') {
      const end = closing(tokens, at + 1);
      const parts = listOf(text(at + 2, end));
      const zoned = `date_trunc(${parts.join(', ')}, ${quoteLiteral(zone)}::text)`;
      return parts.length === 2 ? [{ written: text(at, end + 1), zoned }] : [];
    }
    if (['EXTRACT', 'to_char'].includes(token.text) && tokens[at + 1]?.text === '(') {
      const end = closing(tokens, at + 1);
      const inside = text(at + 2, end);
      const zoned = (value: string): string => `((${value}) AT TIME ZONE ${quoteLiteral(zone)})`;
      const [field, from] = /^(\w+) FROM ([\s\S]+)$/.exec(inside)?.slice(1) ?? [];
      const [value = '', ...format] = listOf(inside);
      const mended =
        token.text === 'to_char'
          ? `to_char(${[zoned(value), ...format].join(', ')})`
          : from === undefined || field === 'epoch'
            ? undefined
            : `EXTRACT(${field} FROM ${zoned(from)})`;
      return mended === undefined ? [] : [{ written: text(at, end + 1), zoned: mended }];
    }
    if (token.text === 'date' && text(at - 2, at) === '::' && tokens[at - 3]?.text === ')') {
      const start = opening(
        tokens.map((one) => one.text),
        at - 3,
      );
      const zoned = `(${text(start, at - 2)} AT TIME ZONE ${quoteLiteral(zone)})::date`;
      const written = text(start, at + 1);
      // What has its zone already ends in the same way.
      return zonedAlready.test(written) ? [] : [{ written, zoned }];
    }
    return [];
  });
}

const zonedAlready = / AT TIME ZONE '[^']+'(?:::text)?\)::date$/;

function opening(texts: readonly string[], close: number): number {
  let depth = 0;
  for (let at = close; at >= 0; at--) {
    if (texts[at] === ')') depth += 1;
    if (texts[at] === '(') depth -= 1;
    if (depth === 0) return at;
  }
  return 0;
}
