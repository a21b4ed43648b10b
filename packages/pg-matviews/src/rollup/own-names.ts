import { ConfigurationError } from '@cachekit/core';

/** Names that the statements of a rollup give to rows of their own while the user's SQL is read: a table called so would be hidden by them. */
const hiding: readonly string[] = ['ck_rows', 'ck_taken', 'ck_dirty', 'ck_marks', 'ck_parts'];
/** Columns that the statements of a rollup put beside those of a group. */
const columnsBeside: readonly string[] = ['ck_found', 'ck_differs', 'ck_at'];

/** @throws ConfigurationError `INVALID_CONFIGURATION` for a name without a schema that a refresh would not find. */
export function assertNotHidden(
  what: string,
  relations: readonly { readonly schema: string | undefined; readonly name: string }[],
): void {
  const hidden = relations.find(({ schema, name }) => schema === undefined && hiding.includes(name));
  if (hidden === undefined) return;
  throw new ConfigurationError(
    `${what}: "${hidden.name}" is a name that refreshes use themselves; write it with its schema, such as public.${hidden.name}, and in SQL with an alias`,
  );
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` for a column of a group that a refresh could not tell from its own. */
export function assertColumnsOfUser(what: string, columns: readonly string[]): void {
  const own = columns.find((column) => columnsBeside.includes(column));
  if (own === undefined) return;
  throw new ConfigurationError(
    `${what}: "${own}" is a column that refreshes use themselves; give it another name`,
  );
}
