import { ConfigurationError } from '@cachekit/core';

/** Types a measure or a derived column can be shown as. */
export type SqlType =
  | 'smallint'
  | 'integer'
  | 'bigint'
  | 'real'
  | 'double precision'
  | 'numeric'
  | `numeric(${number},${number})`
  | 'boolean'
  | 'text'
  | 'date'
  | 'timestamptz'
  | 'interval';

/** What `pg` makes of a value of that type; what does not fit into a number is text. */
export type ValueOf<Type extends SqlType> = Type extends 'smallint' | 'integer' | 'real' | 'double precision'
  ? number
  : Type extends 'boolean'
    ? boolean
    : Type extends 'date' | 'timestamptz'
      ? Date
      : Type extends 'interval'
        ? unknown
        : string;

const shape =
  /^(?:smallint|integer|bigint|real|double precision|numeric(?:\(\d+,\d+\))?|boolean|text|date|timestamptz|interval)$/;

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function assertSqlType(type: unknown, what: string): asserts type is SqlType {
  if (typeof type === 'string' && shape.test(type)) return;
  throw new ConfigurationError(`${what}: ${JSON.stringify(type)} is no type a column can be shown as`);
}
