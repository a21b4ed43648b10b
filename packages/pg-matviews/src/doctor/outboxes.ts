import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { ageText, type Examination } from './examination.ts';
import { type Finding, finding } from './finding.ts';

/** Consumers that do not come any more, for whom rows are kept, and outboxes that nobody reads. */
export async function neglectedOutboxes({ sql, records, patienceMs }: Examination): Promise<Finding[]> {
  if (!records.installed) return [];
  const outboxes = await jsonRows<{ name: string }>(
    sql,
    `SELECT c.relname AS name FROM pg_class c
     WHERE c.relnamespace = 'cachekit'::regnamespace AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')
       AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('seq', 'xid', 'operation', 'moved')) = 4
     ORDER BY 1`,
  );
  const findings: Finding[] = [];
  for (const { name } of outboxes) {
    const table = `cachekit.${quoteIdentifier(name)}`;
    const late = `o.at < clock_timestamp() - $2::float8 * interval '1 ms'`;
    const consumers = await jsonRows<{ name: string; seconds: number; dead: boolean }>(
      sql,
      `SELECT c.name, extract(epoch FROM clock_timestamp() - c.moved_at)::float8 AS seconds,
         c.moved_at < clock_timestamp() - $2::float8 * interval '1 ms' AND EXISTS (
           SELECT FROM ${table} o WHERE o.xid >= pg_snapshot_xmin(c.snapshot) AND NOT pg_visible_in_snapshot(o.xid, c.snapshot) AND ${late}) AS dead
       FROM cachekit.cursor c WHERE c.outbox = $1 ORDER BY 1`,
      [name, patienceMs],
    );
    for (const consumer of consumers.filter(({ dead }) => dead)) {
      const who = quoteLiteral(consumer.name);
      findings.push(
        finding(
          'dead-consumer',
          consumer.name,
          `The consumer has not fetched a change of ${table} for ${ageText(consumer.seconds)}, although there are some. Rows are kept for it for a week. If it is gone for good, forget it; if it comes back, it begins with a gap.`,
          [
            `DELETE FROM cachekit.cursor WHERE name = ${who}`,
            `DELETE FROM cachekit.wake WHERE name = ${who}`,
          ],
        ),
      );
    }
    if (consumers.length > 0) continue;
    const [waiting] = await jsonRows<{ rows: number }>(
      sql,
      `SELECT count(*) AS rows FROM ${table} o WHERE $1::text IS NOT NULL AND ${late}`,
      [name, patienceMs],
    );
    if (waiting === undefined || waiting.rows === 0) continue;
    findings.push(
      finding(
        'unread-outbox',
        table,
        `Nobody reads it, so its ${waiting.rows} rows are never pruned and it grows with every refresh. Give it to a change pipeline (\`refreshSource\`), which prunes, or prune it from a scheduler.`,
        [
          `DELETE FROM ${table} WHERE at < clock_timestamp() - interval '${Math.ceil(patienceMs)} milliseconds'`,
        ],
      ),
    );
  }
  return findings;
}
