import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { parseQualifiedName } from '@cachekit/core/postgres';
import { assertIdentifier } from './identifier.ts';

/** How a write to a table marks a view. */
export interface ViewSourceOptions {
  /** The table's own column that says whose rows changed; without it a write changes the view for everybody. */
  readonly tenant?: string;
  /**
   * Key columns of the view to the table's own columns that hold the same value. With it the changed keys are told,
   * without it "every row of that tenant".
   */
  readonly key?: Readonly<Record<string, string>>;
}

/** A table whose writes mark a view. */
export interface ViewSource {
  /** As written: `table` or `schema.table`, each part literally; a part that holds a dot in double quotes. */
  readonly table: string;
  readonly tenant: string | undefined;
  /** View column and table column, sorted by view column. */
  readonly key: readonly (readonly [string, string])[];
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function viewSource(
  view: string,
  viewTenant: string | undefined,
  table: string,
  options: ViewSourceOptions,
): ViewSource {
  const what = `defineView "${view}": source "${table}"`;
  if (typeof options !== 'object' || options === null)
    throw new ConfigurationError(`${what}: give an object`);
  assertKnownOptions(what, options, ['tenant', 'key']);
  assertTable(what, table);
  if (options.tenant !== undefined) {
    assertIdentifier(options.tenant, `${what} tenant`);
    if (viewTenant === undefined) {
      throw new ConfigurationError(
        `${what}: tenant is given, but the view does not say which of its columns is`,
      );
    }
  }
  const key = Object.entries(options.key ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [viewColumn, tableColumn] of key) {
    assertIdentifier(viewColumn, `${what} key`);
    assertIdentifier(tableColumn, `${what} key`);
  }
  return { table, tenant: options.tenant, key };
}

function assertTable(what: string, table: string): void {
  try {
    const { schema, name } = parseQualifiedName(table);
    if (schema !== undefined) assertIdentifier(schema, what);
    assertIdentifier(name, what);
  } catch (error) {
    throw error instanceof ConfigurationError
      ? error
      : new ConfigurationError(`${what}: give table or schema.table`);
  }
}
