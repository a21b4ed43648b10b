import { quoteIdentifier } from '@cachekit/core/postgres';
import { type ExistingView, readAllViews } from '../migrate/existing.ts';
import { liveName } from '../rollup/compiled-rollup.ts';
import { storedAverages } from './average.ts';
import type { Examination } from './examination.ts';
import { multipliedRows } from './fan-out.ts';
import { type Finding, finding } from './finding.ts';
import { nullKeys } from './null-key.ts';
import { undoneOuterJoins } from './outer-join.ts';
import { replaceViewSql } from './replace-view.ts';
import type { Reader, Rewriting } from './rewriting.ts';
import { raggedWindows } from './window.ts';
import { sessionZones } from './zone.ts';

const readers: readonly Reader[] = [
  sessionZones,
  raggedWindows,
  undoneOuterJoins,
  multipliedRows,
  nullKeys,
  storedAverages,
];

/** Mistakes in the queries of views. What mends one mends all of the same view. */
export async function mistakenQueries({ sql, records, views }: Examination): Promise<Finding[]> {
  const { rows } = await sql.query<{ zone: string }>(
    `SELECT reset_val AS zone FROM pg_settings WHERE name = 'TimeZone'`,
  );
  const zone = String(rows[0]?.zone ?? 'UTC');
  const rollups = records.views.filter(({ rollup }) => rollup !== null).map(({ name }) => name);
  const ours = new Set([...rollups, ...rollups.map(liveName)]);
  const all = (await readAllViews(sql)).filter(({ name }) => !ours.has(name));
  const stored = below(all);
  const findings: Finding[] = [];
  for (const view of all) {
    const found: Rewriting[] = [];
    const original = view.definition.replace(/;\s*$/, '');
    for (const reader of readers) {
      const query = found.at(-1)?.query ?? original;
      for (const one of await reader(sql, { view, query, stored: stored.has(view.oid), zone }))
        found.push(one);
    }
    const last = found.at(-1);
    if (last === undefined) continue;
    const mend = last.query === original ? [] : [await replaceViewSql(sql, view, last.query)];
    const defined = views.some(({ name }) => name === view.name)
      ? ' Change the definition in the catalog likewise.'
      : '';
    for (const { defect, reason } of found) {
      findings.push(finding(defect, plainName(view), `${reason}${defined}`, mend));
    }
  }
  return findings;
}

/** As the server prints names: quoted where that is needed. */
function plainName({ schema, name }: ExistingView): string {
  return [schema, name]
    .map((part) => (/^[a-z_][a-z0-9_]*$/.test(part) ? part : quoteIdentifier(part)))
    .join('.');
}

/** Oids of materialized views and of the views they read. */
function below(views: readonly ExistingView[]): Set<string> {
  const byOid = new Map(views.map((view) => [view.oid, view]));
  const found = new Set<string>();
  const visit = (oid: string): void => {
    if (found.has(oid)) return;
    found.add(oid);
    for (const used of byOid.get(oid)?.uses ?? []) visit(used);
  };
  for (const { oid, kind } of views) if (kind === 'm') visit(oid);
  return found;
}
