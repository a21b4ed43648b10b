import type { SqlExecutor, SqlResult } from '@cachekit/core';
import { installOutbox } from '@cachekit/core/postgres';
import { refreshFunctionSql } from '../sql/refresh-function.ts';
import { stateTablesSql } from '../sql/state-tables.ts';

/** Name of the outbox that tells which keys of which views a refresh changed: `cachekit.view_change`. */
export const viewOutbox = 'view_change';

/** Creates what this package keeps in schema `cachekit`, inside the caller's transaction. */
export async function install(sql: SqlExecutor): Promise<void> {
  await installOutbox(sql, viewOutbox);
  for (const statement of [...stateTablesSql, refreshFunctionSql(viewOutbox)]) await sql.query(statement);
}

/** The statements {@link install} runs on a database that has nothing yet; each can be repeated. */
export async function installationSql(): Promise<string[]> {
  const statements: string[] = [];
  await install(recorder(statements));
  return statements;
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
