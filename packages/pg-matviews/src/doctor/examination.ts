import type { SqlExecutor } from '@cachekit/core';
import type { Records } from '../migrate/records.ts';
import type { ViewDefinition } from '../view.ts';
import type { Finding } from './finding.ts';

/** What every check is given. */
export interface Examination {
  /**
   * A transaction that reads. Its search path is empty, so whatever the server writes out is qualified and means the
   * same in any session.
   */
  readonly sql: SqlExecutor;
  readonly schema: string;
  /** The definitions, if there are any to compare with. */
  readonly views: readonly ViewDefinition[];
  /** What was applied to the database. */
  readonly records: Records;
  /** Who refreshes. */
  readonly role: string;
  /** From this age on something has waited for too long. */
  readonly patienceMs: number;
}

/** Looks for defects of one kind. */
export type Check = (examination: Examination) => Promise<readonly Finding[]>;

/** Condition on a schema `n` that holds things of users, those of CacheKit apart. */
export const schemaOfUsers = `n.nspname NOT IN ('information_schema', 'cachekit') AND n.nspname NOT LIKE 'pg\\_%'`;

/** How long ago, as people say it. */
export function ageText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
