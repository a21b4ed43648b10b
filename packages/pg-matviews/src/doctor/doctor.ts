import {
  assertKnownOptions,
  ConfigurationError,
  type Duration,
  durationMs,
  type SqlExecutor,
} from '@cachekit/core';
import { readRecords } from '../migrate/records.ts';
import type { ViewDefinition } from '../view.ts';
import { checks } from './checks.ts';
import type { Examination } from './examination.ts';
import { explainView, type ViewExplanation } from './explain.ts';
import { defects, type Finding } from './finding.ts';
import { unappliedOrDrifted } from './unapplied.ts';

/** Options of {@link createDoctor}. */
export interface DoctorOptions {
  readonly sql: SqlExecutor;
  /** The definitions given to `createViews`; without them the doctor does not compare, and looks at all else. */
  readonly views?: readonly ViewDefinition[];
  /** Where the views live. @defaultValue `public` */
  readonly schema?: string;
  /** The role that refreshes. @defaultValue the role of `sql` */
  readonly role?: string;
  /**
   * From this age on, a transaction that is open, a mark that waits and a change that nobody fetched are defects.
   *
   * @defaultValue `10m`
   */
  readonly patience?: Duration;
}

/** Looks at a database with the eyes of somebody who keeps views. */
export interface Doctor {
  /**
   * Looks for everything that is known to go wrong, in views of CacheKit and in any other materialized view.
   *
   * It changes nothing. It reads the catalog, and of some views all rows (is a key unique, is it NULL); give it a role
   * that may read them.
   *
   * @returns The failures first; empty if nothing was found.
   * @throws ConfigurationError `INVALID_CONFIGURATION` for definitions that cannot be applied.
   * @throws The error of the database, unchanged.
   */
  examine(): Promise<readonly Finding[]>;
  /**
   * How a refresh of a view reads its tables, and the indexes that would make it cheaper.
   *
   * An index is advised only if the planner takes it: the table is sampled into a temporary one, indexed as it is and
   * then with the candidate, and the refresh is planned over both. Needs the right to create temporary tables, and
   * nothing of it is left.
   *
   * @throws ConfigurationError `INVALID_CONFIGURATION` if no view of that name was applied.
   * @throws The error of the database, unchanged.
   */
  explain(view: string): Promise<ViewExplanation>;
}

/**
 * Makes a doctor for the views of a database: each finding has its reason and the SQL that mends it.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option.
 * @example
 * const doctor = createDoctor({ sql: pgExecutor(pool), views: [callsPerDay] });
 * for (const { object, reason, mend } of await doctor.examine()) console.log(object, reason, mend.join('\n'));
 */
export function createDoctor(options: DoctorOptions): Doctor {
  assertKnownOptions('createDoctor', options, ['sql', 'views', 'schema', 'role', 'patience']);
  const { sql, views = [], schema = 'public' } = options;
  if (typeof sql?.transaction !== 'function')
    throw new ConfigurationError('createDoctor: sql is an SqlExecutor');
  const patienceMs = durationMs(options.patience ?? '10m', 'patience');
  return {
    async examine() {
      const compared = views.length === 0 ? [] : await unappliedOrDrifted(sql, schema, views);
      const found = await sql.transaction(async (transaction) => {
        await transaction.query(readingSql);
        const { rows } = await transaction.query<{ role: string }>('SELECT current_user::text AS role');
        const examination: Examination = {
          sql: transaction,
          schema,
          views,
          records: await readRecords(transaction),
          role: options.role ?? String(rows[0]?.role),
          patienceMs,
        };
        const findings: Finding[] = [];
        for (const check of checks) findings.push(...(await check(examination)));
        return findings;
      });
      return [...compared, ...found].sort(bySeverity);
    },
    explain: (view) => sql.transaction((transaction) => explainView(transaction, view)),
  };
}

const readingSql = `SELECT set_config('search_path', '', true), set_config('TimeZone', 'UTC', true),
  set_config('lock_timeout', '1s', true), set_config('extra_float_digits', '1', true),
  set_config('quote_all_identifiers', 'off', true), set_config('standard_conforming_strings', 'on', true)`;

function bySeverity(a: Finding, b: Finding): number {
  if (a.level !== b.level) return a.level === 'failure' ? -1 : 1;
  return defects.indexOf(a.defect) - defects.indexOf(b.defect) || (a.object < b.object ? -1 : 1);
}
