import type { SqlExecutor, SqlResult } from '@cachekit/core';
import { installOutbox } from '@cachekit/core/postgres';
import { refreshFunctionsSql } from '../sql/refresh-function.ts';
import { stateTablesSql } from '../sql/state-tables.ts';
import { type Installation, packageVersion, readInstalled } from './installed.ts';

/** Name of the outbox that tells which keys of which views a refresh changed: `cachekit.view_change`. */
export const viewOutbox = 'view_change';

/**
 * Creates what this package keeps in schema `cachekit`, or brings it to this version, inside the caller's transaction.
 * What a newer version installed is left as it is.
 *
 * @param version - What is installed; a later one in a test of upgrades.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if a newer version is installed that this one cannot work with.
 */
export async function install(sql: SqlExecutor, version: Installation = packageVersion): Promise<void> {
  const { version: there } = await readInstalled(sql, version);
  if (there > version.version) return;
  await installOutbox(sql, viewOutbox);
  for (const statement of installSql(version)) await sql.query(statement);
}

/** The statements {@link install} runs on a database that has nothing yet; each can be repeated. */
export async function installationSql(): Promise<string[]> {
  const statements: string[] = [];
  await installOutbox(recorder(statements), viewOutbox);
  return [...statements, ...installSql(packageVersion)];
}

function installSql({ version, oldest }: Installation): string[] {
  return [
    ...stateTablesSql,
    ...refreshFunctionsSql(viewOutbox),
    `INSERT INTO cachekit.installed AS i (part, version, oldest) VALUES ('views', ${version}, ${oldest})
ON CONFLICT (part) DO UPDATE SET version = excluded.version, oldest = excluded.oldest, at = excluded.at
WHERE (i.version, i.oldest) <> (excluded.version, excluded.oldest)`,
  ];
}

/** Takes statements down instead of running them; every question is answered with nothing. */
function recorder(statements: string[]): SqlExecutor {
  const executor: SqlExecutor = {
    query<Row>(sql: string): Promise<SqlResult<Row>> {
      if (!/^\s*select\b/i.test(sql)) statements.push(sql.trim());
      return Promise.resolve({ rows: [], rowCount: 0 });
    },
    transaction: (run) => run(executor),
  };
  return executor;
}
