import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { searchPath } from '../migrate/session.ts';
import type { RollupProgram } from '../rollup/objects.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { relationSql } from '../sql/relation.ts';
import type { ViewKind } from '../view.ts';
import { adviseIndex, type IndexAdvice } from './index-advice.ts';

/** How the server would run one kind of refresh now. */
export interface RefreshPlan {
  /**
   * - `groups`: of a rollup, the groups that are marked by their whole key, as by a change of its table and `refresh(name, { where })`.
   * - `part`: of a rollup, groups of which a part of the key is marked, as by a change of a dimension.
   * - `whole`: everything. Of a plain view: a read of it.
   */
  readonly of: 'groups' | 'part' | 'whole';
  /** What EXPLAIN prints. */
  readonly plan: string;
}

/** What `Doctor.explain` tells of a view. */
export interface ViewExplanation {
  readonly view: string;
  readonly kind: ViewKind;
  readonly plans: readonly RefreshPlan[];
  /** Indexes of the source tables that the planner would use for the groups that changed. */
  readonly advice: readonly IndexAdvice[];
}

interface AppliedView {
  readonly schema: string;
  readonly kind: ViewKind;
  readonly program: RollupProgram | null;
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export async function explainView(sql: SqlExecutor, view: string): Promise<ViewExplanation> {
  const { rows } = await sql.query<{ installed: boolean }>(
    `SELECT to_regclass('cachekit.view') IS NOT NULL AS installed`,
  );
  const [found] =
    rows[0]?.installed === true
      ? await jsonRows<AppliedView>(
          sql,
          `SELECT schema, kind, rollup->'program' AS program FROM cachekit.view WHERE name = $1`,
          [view],
        )
      : [];
  if (found === undefined) throw new ConfigurationError(`View "${view}" was never applied`);
  const { program } = found;
  await sql.query(`SELECT set_config('search_path', $1, true), set_config('jit', 'off', true)`, [
    searchPath(found.schema),
  ]);
  const plans: RefreshPlan[] = [];
  if (program === null) {
    const { rows: text } = await sql.query<{ query: string }>(
      `SELECT pg_get_viewdef(to_regclass($1)) AS query`,
      [relationSql(found.schema, view)],
    );
    plans.push({ of: 'whole', plan: await planOf(sql, String(text[0]?.query).replace(/;\s*$/, '')) });
  } else {
    plans.push({ of: 'groups', plan: await planOf(sql, program.exact) });
    plans.push({ of: 'part', plan: await planOf(sql, program.partial) });
    plans.push({ of: 'whole', plan: await planOf(sql, program.whole) });
  }
  const advice = program === null ? undefined : await adviseIndex(sql, program);
  return { view, kind: found.kind, plans, advice: advice === undefined ? [] : [advice] };
}

async function planOf(sql: SqlExecutor, statement: string): Promise<string> {
  const { rows } = await sql.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${statement}`);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}
