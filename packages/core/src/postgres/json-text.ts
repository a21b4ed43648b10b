/** Sixteen digits in a row: the least that a number must have to be unsafe as a double. */
const longNumber = /\d{16}/;

/** TypeScript's library does not know the third argument yet; every supported Node does. */
type SourceReviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/**
 * Parses JSON as PostgreSQL writes it, without bending whole numbers.
 *
 * A whole number beyond `Number.MAX_SAFE_INTEGER` (a `bigint` id, say) comes as the string of its digits, as `pg`
 * gives it for a column too.
 *
 * @see ECMA-262, JSON.parse source text access
 */
export function parseJsonText(text: string): unknown {
  if (!longNumber.test(text)) return JSON.parse(text);
  return JSON.parse(text, keepDigits as Parameters<typeof JSON.parse>[1]);
}

const keepDigits: SourceReviver = (_key, value, context) =>
  typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source ?? '')
    ? context.source
    : value;
