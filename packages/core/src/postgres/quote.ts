import { ArgumentError } from '../errors.ts';

/** Longest identifier of PostgreSQL in bytes; the server would cut a longer one silently. */
const maxIdentifierBytes = 63;

/**
 * An identifier as it stands in SQL, always in double quotes.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if it is empty, holds a NUL character or has more than 63 bytes, which
 * PostgreSQL would cut silently.
 * @see PostgreSQL documentation, 4.1.1 Identifiers and Key Words
 * @example
 * quoteIdentifier('user"id'); // '"user""id"'
 */
export function quoteIdentifier(name: string): string {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) {
    throw new ArgumentError(`An SQL identifier is text that is not empty; got ${JSON.stringify(name)}`);
  }
  if (utf8Length(name) > maxIdentifierBytes) {
    throw new ArgumentError(`An SQL identifier has at most ${maxIdentifierBytes} bytes; got "${name}"`);
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * A string constant as it stands in SQL, right whatever `standard_conforming_strings` says.
 *
 * For places that take no parameter, such as the body of a function; elsewhere use `$1`.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if it holds a NUL character, which PostgreSQL text cannot.
 */
export function quoteLiteral(text: string): string {
  if (typeof text !== 'string' || text.includes('\0')) {
    throw new ArgumentError('An SQL literal is text without NUL characters');
  }
  const quoted = text.replaceAll("'", "''");
  return text.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** A name with its schema, if it was given one. */
export interface QualifiedName {
  readonly schema: string | undefined;
  readonly name: string;
}

/**
 * Reads `name` or `schema.name` as it is meant, without folding case; a part that holds a dot is written in double
 * quotes.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if it is neither.
 * @example
 * parseQualifiedName('app.calls'); // { schema: 'app', name: 'calls' }
 * parseQualifiedName('"v1.0".calls'); // { schema: 'v1.0', name: 'calls' }
 */
export function parseQualifiedName(text: string): QualifiedName {
  const match = typeof text === 'string' ? qualifiedName.exec(text) : null;
  const last = match?.[2];
  if (last === undefined) {
    throw new ArgumentError(`${JSON.stringify(text)} is no name of a table; write name or schema.name`);
  }
  const first = match?.[1];
  return { schema: first === undefined ? undefined : unquote(first), name: unquote(last) };
}

/** The name as it stands in SQL, every part in double quotes. */
export function quoteQualified(name: QualifiedName): string {
  const last = quoteIdentifier(name.name);
  return name.schema === undefined ? last : `${quoteIdentifier(name.schema)}.${last}`;
}

const part = String.raw`"(?:[^"\0]|"")+"|[^".\0]+`;
const qualifiedName = new RegExp(`^(?:(${part})\\.)?(${part})$`);

function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
