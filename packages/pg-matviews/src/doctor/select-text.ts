import { nameOf, scanSql, type Token } from '../sql/scan.ts';

/** The clauses of one SELECT as the server writes it out; together they are the text again. */
export interface SelectText {
  readonly select: string;
  readonly from: string;
  readonly where: string | undefined;
  /** From GROUP BY on. */
  readonly rest: string;
  /** The expressions of GROUP BY. */
  readonly groups: readonly string[];
}

/** Words that end a list of tables or a condition. */
const after = ['group', 'having', 'window', 'order', 'limit', 'offset', 'fetch', 'for'];

/** Cuts a SELECT into its clauses; `undefined` for one with WITH, UNION and the like, or without FROM. */
export function selectText(definition: string): SelectText | undefined {
  const tokens = scanSql(definition.replace(/;\s*$/, ''));
  const words = topLevel(tokens);
  const [first] = words;
  const at = (...names: readonly string[]): number =>
    words.find(({ word }) => names.includes(word))?.at ?? -1;
  if (first?.word !== 'select' || at('union', 'intersect', 'except') >= 0) return undefined;
  const from = at('from');
  if (from < 0) return undefined;
  const text = (start: number, end: number): string =>
    tokens
      .slice(start, end)
      .map((token) => token.text)
      .join('')
      .trim();
  const rest = words.find((one) => one.at > from && after.includes(one.word))?.at ?? tokens.length;
  const where = words.find((one) => one.at > from && one.at < rest && one.word === 'where')?.at;
  const group = words.find((one) => one.at >= rest && one.word === 'group')?.at;
  const groupEnd =
    words.find((one) => group !== undefined && one.at > group && after.includes(one.word))?.at ??
    tokens.length;
  return {
    select: text(first.at + 1, from),
    from: text(from + 1, where ?? rest),
    where: where === undefined ? undefined : text(where + 1, rest),
    rest: text(rest, tokens.length),
    groups:
      group === undefined
        ? []
        : listOf(text(group + 1, groupEnd).replace(/^by\s+/i, '')).map((one) => unwrapped(one)),
  };
}

/** The SELECT of these clauses. */
export function joined({ select, from, where, rest }: SelectText): string {
  return `SELECT ${select}\n FROM ${from}${where === undefined ? '' : `\n WHERE ${where}`}${rest === '' ? '' : `\n ${rest}`}`;
}

/** The parts of a list, cut at its commas. */
export function listOf(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (const { token, depth } of withDepth(scanSql(text))) {
    if (depth === 0 && token.text === ',') {
      parts.push(part.trim());
      part = '';
    } else {
      part += token.text;
    }
  }
  return [...parts, part.trim()];
}

/** The parts of a condition between a word, such as `and`. */
export function wordsSplit(text: string, separator: 'and' | 'or'): string[] {
  const parts: string[] = [];
  let part = '';
  for (const { token, depth } of withDepth(scanSql(text))) {
    if (depth === 0 && token.kind === 'word' && token.text.toLowerCase() === separator) {
      parts.push(part.trim());
      part = '';
    } else {
      part += token.text;
    }
  }
  return [...parts, part.trim()];
}

/** An expression of a select list and the name of its column. */
export function namedExpression(item: string): { readonly sql: string; readonly name: string } {
  const tokens = scanSql(item);
  const as = topLevel(tokens).findLast(({ word }) => word === 'as');
  const last = tokens.findLast(({ kind }) => kind === 'word' || kind === 'quoted');
  const name = last === undefined ? '' : nameOf(last);
  if (as === undefined) return { sql: item.trim(), name };
  const sql = tokens
    .slice(0, as.at)
    .map(({ text }) => text)
    .join('');
  return { sql: sql.trim(), name };
}

/** The columns of the result that a SELECT groups by, if it shows all of them. */
export function groupKey(definition: string): readonly string[] | undefined {
  const parsed = selectText(definition);
  if (parsed === undefined || parsed.groups.length === 0) return undefined;
  const items = listOf(parsed.select.replace(/^distinct\s+/i, '')).map(namedExpression);
  const names = parsed.groups.map(
    (group) => items.find(({ sql }) => squeezed(unwrapped(sql)) === squeezed(group))?.name,
  );
  return names.every((name) => name !== undefined) ? names : undefined;
}

/** The text without parentheses around all of it. */
export function unwrapped(text: string): string {
  let inner = text.trim();
  while (inner.startsWith('(') && closing(scanSql(inner), 0) === scanSql(inner).length - 1) {
    inner = inner.slice(1, -1).trim();
  }
  return inner;
}

/** Where the parenthesis that opens at `open` closes. */
export function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]?.text === '(') depth += 1;
    if (tokens[at]?.text === ')') depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}

function squeezed(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

function topLevel(tokens: readonly Token[]): { readonly word: string; readonly at: number }[] {
  return [...withDepth(tokens)].flatMap(({ token, depth }, at) =>
    depth === 0 && token.kind === 'word' ? [{ word: token.text.toLowerCase(), at }] : [],
  );
}

function* withDepth(tokens: readonly Token[]): Generator<{ readonly token: Token; readonly depth: number }> {
  let depth = 0;
  for (const token of tokens) {
    if (token.text === ')') depth -= 1;
    yield { token, depth };
    if (token.text === '(') depth += 1;
  }
}
