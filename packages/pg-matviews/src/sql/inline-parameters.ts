import { ConfigurationError } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';
import { scanSql } from './scan.ts';

/**
 * `sql` with each `$n` replaced by the constant it stands for, because the definition of a view takes no parameters.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a placeholder without a value, or a value that is no text,
 * number, bigint, boolean, Date or null.
 */
export function inlineParameters(view: string, sql: string, parameters: readonly unknown[]): string {
  let inlined = '';
  for (const token of scanSql(sql)) {
    inlined += token.kind === 'parameter' ? constantAt(view, token.text, parameters) : token.text;
  }
  return inlined;
}

function constantAt(view: string, placeholder: string, parameters: readonly unknown[]): string {
  const index = Number(placeholder.slice(1)) - 1;
  if (index < 0 || index >= parameters.length) {
    throw new ConfigurationError(`defineView "${view}": the query has ${placeholder} but no value for it`);
  }
  const value = parameters[index];
  if (value === null) return 'NULL';
  if (typeof value === 'string') return quoteLiteral(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && Number.isFinite(value)) {
    return value < 0 || Object.is(value, -0) ? `(${value})` : String(value);
  }
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    return `${quoteLiteral(value.toISOString())}::timestamptz`;
  }
  throw new ConfigurationError(
    `defineView "${view}": ${placeholder} is ${typeof value === 'object' ? 'an object' : String(value)}; the definition of a view holds constants only`,
  );
}
