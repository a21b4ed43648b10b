import { ArgumentError, type SqlExecutor } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';
import { RefreshFailedError } from '../errors.ts';
import { liveName } from '../rollup/compiled-rollup.ts';
import type { RollupProgram } from '../rollup/objects.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { relationSql } from '../sql/relation.ts';
import { keyText } from './key-text.ts';
import { type RunLimits, settingsSql } from './run.ts';

interface AppliedRollup {
  readonly schema: string;
  readonly program: RollupProgram;
}

/** Marks the groups with these values of key columns. */
export async function markGroups(
  sql: SqlExecutor,
  view: string,
  where: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { program } = await applied(sql, view);
  const given = Object.keys(where);
  const unknown = given.filter((name) => !program.keys.some((key) => key.name === name));
  if (given.length === 0 || unknown.length > 0) {
    throw new ArgumentError(
      `refresh "${view}": where names key columns (${program.keys.map(({ name }) => name).join(', ')})`,
    );
  }
  const texts: Record<string, string> = {};
  const dates: string[] = [];
  const parameters: unknown[] = [view];
  for (const { name, type } of program.keys) {
    if (!given.includes(name)) continue;
    const value = where[name];
    // The driver that made a date of a column knows what it made: of pg midnight by the clock of the process.
    if (value instanceof Date && /^(date|timestamp)/.test(type)) {
      dates.push(`${quoteLiteral(name)}, $${parameters.push(value)}::${type}`);
    } else {
      texts[name] = keyText(value, type, `refresh "${view}": where.${name}`);
    }
  }
  const wanted = `$${parameters.push(JSON.stringify(texts))}::text::jsonb || jsonb_build_object(${dates.join(', ')})`;
  await sql.query(`SELECT cachekit.mark_groups($1, ${wanted})`, parameters);
}

/** Compares all groups in one snapshot and marks those that are wrong. */
export async function reconcileRollup(
  sql: SqlExecutor,
  view: string,
  limits: RunLimits,
): Promise<{ view: string; groups: number; healed: number }> {
  return sql.transaction(async (transaction) => {
    await transaction.query(settingsSql(limits));
    const { rows } = await transaction.query<{ found: string | null }>(
      'SELECT cachekit.reconcile_rollup($1)::text AS found',
      [view],
    );
    const found = JSON.parse(rows[0]?.found ?? 'null') as { groups: number; healed: number } | null;
    if (found === null) throw new RefreshFailedError(view, 'it was never applied');
    return { view, ...found };
  });
}

/** The view if its oldest mark is young enough, else the exact view. */
export async function relationFor(sql: SqlExecutor, view: string, maxStalenessMs: number): Promise<string> {
  const { schema, program } = await applied(sql, view);
  const { rows } = await sql.query<{ stale: boolean }>(
    `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)) * 1000 >= $1::float8, false) AS stale FROM ${program.log}`,
    [maxStalenessMs],
  );
  return relationSql(schema, rows[0]?.stale === true ? liveName(view) : view);
}

async function applied(sql: SqlExecutor, view: string): Promise<AppliedRollup> {
  const [found] = await jsonRows<AppliedRollup>(
    sql,
    `SELECT schema, rollup->'program' AS program FROM cachekit.view WHERE name = $1 AND kind = 'rollup'`,
    [view],
  );
  if (found === undefined) throw new RefreshFailedError(view, 'it was never applied');
  return found;
}
