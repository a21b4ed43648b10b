import { jsonRows } from '../sql/json-rows.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';

/** Materialized views that were never filled: reading one fails, and so does REFRESH ... CONCURRENTLY. */
export async function unpopulatedViews({ sql }: Examination): Promise<Finding[]> {
  const views = await jsonRows<{ name: string }>(
    sql,
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'm' AND NOT c.relispopulated AND ${schemaOfUsers} ORDER BY 1`,
  );
  return views.map(({ name }) =>
    finding(
      'not-populated',
      name,
      'It was never filled, so reading it fails (55000), and so does REFRESH ... CONCURRENTLY; the first refresh is a plain one.',
      [`REFRESH MATERIALIZED VIEW ${name}`],
    ),
  );
}
