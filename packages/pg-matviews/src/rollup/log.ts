/** Types of which an array gives back what was put in, and any server makes one. */
const plain =
  /^(boolean|smallint|integer|bigint|uuid|date|text|character varying(\(\d+\))?|timestamp with(out)? time zone)$/;

/**
 * Whether a row of the log may be about many groups: a statement that changed many rows writes one, with an array of each
 * key, `g0`, `g1`, ..., which costs it a fraction of a row for each group.
 */
export function holdsMany(keyTypes: readonly string[]): boolean {
  return keyTypes.every((type) => plain.test(type));
}

/** Columns of the log by which a mark names its groups, and their types: of one group, and of many. */
export function logColumns(keyTypes: readonly string[]): {
  readonly one: readonly string[];
  readonly many: readonly string[];
  readonly definitions: readonly string[];
} {
  const many = holdsMany(keyTypes) ? keyTypes.map((_, at) => `g${at}`) : [];
  return {
    one: keyTypes.map((_, at) => `k${at}`),
    many,
    definitions: [
      ...keyTypes.map((type, at) => `k${at} ${type}`),
      ...many.map((column, at) => `${column} ${keyTypes[at]}[]`),
    ],
  };
}

/**
 * The marks in rows of the log, one per group, as `k0`, `k1`, ... and `wild`. The end of the condition for many is always
 * true, which the planner does not know: it takes every array for ten keys, and few are to be looked up one by one.
 */
export function eachMarkSql(rows: string, keyTypes: readonly string[]): string {
  const { one, many } = logColumns(keyTypes);
  const single = `SELECT ${one.join(', ')}, wild FROM ${rows}`;
  if (many.length === 0) return single;
  const each = many.map((column) => `unnest(${column})`).join(', ');
  return `${single} WHERE g0 IS NULL UNION ALL SELECT ${each}, 0 FROM ${rows} WHERE g0 IS NOT NULL AND wild IS NOT DISTINCT FROM wild`;
}
