/** What a piece of SQL is, as far as names and placeholders are concerned. */
type TokenKind = 'word' | 'quoted' | 'string' | 'parameter' | 'space' | 'other';

/** One piece of SQL; all pieces together are the text again. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const patterns: readonly (readonly [TokenKind, RegExp])[] = [
  ['space', /\s+|--[^\n]*/y],
  ['string', /[eE]'(?:[^'\\]|\\[\s\S]|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'/y],
  ['quoted', /(?:[uU]&)?"(?:[^"]|"")*"/y],
  ['parameter', /\$\d+/y],
  ['word', /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y],
  ['other', /\d[\w.]*|[\s\S]/y],
];

/**
 * Cuts SQL into pieces by PostgreSQL's lexical rules: quoted names, string constants (also with backslashes and
 * dollar quotes) and nested comments are each one piece, so nothing inside them is mistaken for a name.
 */
export function scanSql(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    const token = commentAt(sql, at) ?? dollarQuoteAt(sql, at) ?? tokenAt(sql, at);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

/** The name a word or quoted token stands for: words fold to lower case, quoted names stay. */
export function nameOf(token: Token): string {
  return token.kind === 'quoted' ? token.text.slice(1, -1).replaceAll('""', '"') : token.text.toLowerCase();
}

/** SQL without what stands behind it: space, comments, and semicolons if they may be there. */
export function withoutTail(sql: string, semicolons = false): string {
  const tokens = scanSql(sql);
  while (tokens.at(-1)?.kind === 'space' || (semicolons && tokens.at(-1)?.text === ';')) tokens.pop();
  return tokens.map(({ text }) => text).join('');
}

function tokenAt(sql: string, at: number): Token {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = at;
    const match = pattern.exec(sql);
    if (match) return { kind, text: match[0] };
  }
  return { kind: 'other', text: sql.slice(at) };
}

function commentAt(sql: string, at: number): Token | undefined {
  if (!sql.startsWith('/*', at)) return undefined;
  let depth = 0;
  let end = at;
  do {
    if (sql.startsWith('/*', end)) {
      depth += 1;
      end += 2;
    } else if (sql.startsWith('*/', end)) {
      depth -= 1;
      end += 2;
    } else {
      end += 1;
    }
  } while (depth > 0 && end < sql.length);
  return { kind: 'space', text: sql.slice(at, end) };
}

const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;

function dollarQuoteAt(sql: string, at: number): Token | undefined {
  dollarTag.lastIndex = at;
  const tag = dollarTag.exec(sql)?.[0];
  if (tag === undefined) return undefined;
  const end = sql.indexOf(tag, at + tag.length);
  return { kind: 'string', text: end < 0 ? sql.slice(at) : sql.slice(at, end + tag.length) };
}
