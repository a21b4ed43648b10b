import { ConfigurationError } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { liveName } from '../rollup/compiled-rollup.ts';
import { refreshFunctions } from '../sql/refresh-function.ts';
import { relationSql } from '../sql/relation.ts';
import type { ViewDefinition } from '../view.ts';
import { viewOutbox } from './install.ts';
import { copyLogRightsSql } from './log-rights.ts';

/** Roles that are given what they need and nothing else. */
export interface GrantOptions {
  /** Processes with a refresher or a `refreshSource`. They need no right on the tables or the views. */
  readonly refresher?: string;
  /** Who reads the views. */
  readonly reader?: string;
}

/**
 * Statements that give the roles their rights; each can be repeated. A right that a refresher has on the log is given to the
 * logs of later versions when they are created.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if a name is none.
 */
export function grantStatements(
  schema: string,
  views: readonly Pick<ViewDefinition, 'name' | 'kind'>[],
  { refresher, reader }: GrantOptions,
): string[] {
  const statements: string[] = [];
  if (refresher !== undefined) {
    const to = roleName(refresher);
    const tables = ['view', 'view_edge', 'view_source', 'installed'].map((name) => `cachekit.${name}`);
    const logs = views.filter(({ kind }) => kind === 'rollup').map(({ name }) => name);
    statements.push(
      `GRANT USAGE ON SCHEMA cachekit TO ${to}`,
      `GRANT EXECUTE ON FUNCTION ${refreshFunctions.join(', ')}, cachekit.database_identity() TO ${to}`,
      `GRANT SELECT ON ${tables.join(', ')} TO ${to}`,
      `GRANT UPDATE (failures, last_error, failed_at, paused, scheduled_for) ON cachekit.view TO ${to}`,
      `GRANT SELECT, INSERT ON cachekit.mark TO ${to}`,
      ...(logs.length === 0 ? [] : [copyLogRightsSql(logs)]),
      `GRANT SELECT, INSERT, UPDATE ON cachekit.wake, cachekit.cursor TO ${to}`,
      `GRANT SELECT, UPDATE, DELETE ON cachekit.${viewOutbox} TO ${to}`,
    );
  }
  if (reader !== undefined) {
    const to = roleName(reader);
    const names = views.flatMap(({ name, kind }) => (kind === 'rollup' ? [name, liveName(name)] : [name]));
    statements.push(
      // Schema `public` may be used by all unless somebody closed it.
      ...(schema === 'public' ? [] : [`GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO ${to}`]),
      `GRANT SELECT ON ${names.map((name) => relationSql(schema, name)).join(', ')} TO ${to}`,
    );
  }
  return statements;
}

function roleName(role: unknown): string {
  if (typeof role !== 'string' || role === '')
    throw new ConfigurationError('grants: a role is given by its name');
  return quoteIdentifier(role);
}
