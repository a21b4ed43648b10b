import { nameOf, type Token } from './scan.ts';

/** A name in a query that may be a relation, and the schema written before it, if any. */
export interface QueryReference {
  readonly schema: string | undefined;
  readonly name: string;
}

/**
 * Every name in a query that may be a relation: all names but those of common table expressions, those after `AS`,
 * and columns written with their table.
 *
 * It errs by naming too much (a column called like a view), never too little.
 */
export function referencesOf(tokens: readonly Token[]): QueryReference[] {
  const words = tokens.filter((token) => token.kind !== 'space');
  const expressions = new Set<string>();
  const found: QueryReference[] = [];
  words.forEach((token, at) => {
    if (!isName(token)) return;
    if (definesExpression(words, at)) expressions.add(nameOf(token));
    const before = words[at - 1];
    if (before?.kind === 'word' && before.text.toLowerCase() === 'as') return;
    const qualifier = before?.text === '.' ? words[at - 2] : undefined;
    found.push({
      schema: qualifier && isName(qualifier) ? nameOf(qualifier) : undefined,
      name: nameOf(token),
    });
  });
  return found.filter((reference) => reference.schema !== undefined || !expressions.has(reference.name));
}

/** `name AS (`, `name AS MATERIALIZED (`, `name (columns) AS (` of a WITH list. */
function definesExpression(words: readonly Token[], at: number): boolean {
  let next = at + 1;
  if (words[next]?.text === '(') {
    while (next < words.length && words[next]?.text !== ')') next += 1;
    next += 1;
  }
  if (words[next]?.text.toLowerCase() !== 'as') return false;
  next += 1;
  while (['not', 'materialized'].includes(words[next]?.text.toLowerCase() ?? '')) next += 1;
  return words[next]?.text === '(';
}

function isName(token: Token): boolean {
  return token.kind === 'word' || token.kind === 'quoted';
}
