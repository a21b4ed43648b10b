import type { SqlExecutor } from '@cachekit/core';
import { ConfigurationError } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { columnsOf } from './columns.ts';
import type { CheckedEtl } from './definition.ts';

/**
 * The statement that creates the local table as the remote relation is now, with the key as its primary key.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the remote relation or the key is not there.
 */
export async function targetTableSql(remote: SqlExecutor, etl: CheckedEtl): Promise<string> {
  const columns = await columnsOf(remote, etl.from);
  if (!columns.some(({ name }) => name === etl.key)) {
    throw new ConfigurationError(
      columns.length === 0
        ? `The remote database has no ${etl.from}`
        : `The remote ${etl.from} has no column "${etl.key}"`,
    );
  }
  const lines = columns.map(
    ({ name, type }) => `  ${quoteIdentifier(name)} ${type}${name === etl.key ? ' PRIMARY KEY' : ''}`,
  );
  return `CREATE TABLE IF NOT EXISTS ${etl.to} (\n${lines.join(',\n')}\n)`;
}
