import { nameOf, scanSql, type Token } from '../sql/scan.ts';
import { closing } from './select-text.ts';

/** A relation that is joined, in the text of FROM. */
export interface JoinText {
  readonly left: boolean;
  /** Qualified. */
  readonly relation: string;
  readonly alias: string;
  readonly condition: string;
  /** Text before the relation, after it up to the condition, and after the condition. */
  readonly before: string;
  readonly naming: string;
  readonly after: string;
}

/** Every `JOIN relation alias ON (...)`, subqueries apart. */
export function joinsOf(from: string): JoinText[] {
  const tokens = scanSql(from);
  const text = (start: number, end: number): string =>
    tokens
      .slice(start, end)
      .map((token) => token.text)
      .join('');
  return tokens.flatMap((token, at): JoinText[] => {
    if (token.text !== 'JOIN') return [];
    const start = skipped(tokens, at + 1);
    const on = tokens.findIndex(({ text: word }, i) => i > start && (word === 'ON' || word === 'JOIN'));
    if (tokens[on]?.text !== 'ON') return [];
    const words = tokens.slice(start, on).filter(({ kind }) => kind === 'word' || kind === 'quoted');
    const last = words.at(-1);
    const open = skipped(tokens, on + 1);
    const end = closing(tokens, open);
    if (last === undefined || end < 0 || tokens[open]?.text !== '(' || tokens[start]?.text === '(') return [];
    const named = tokens[start + 1]?.text === '.' ? 3 : 1;
    return [
      {
        left: tokens[at - 2]?.text === 'LEFT',
        relation: text(start, start + named),
        alias: nameOf(last),
        condition: text(open, end + 1),
        before: text(0, start),
        naming: text(start, on).trim(),
        after: text(end + 1, tokens.length),
      },
    ];
  });
}

/** The names before the dots of an expression. */
export function aliasesIn(expression: string): Set<string> {
  const tokens = scanSql(expression);
  return new Set(
    tokens.flatMap((token, at) =>
      (token.kind === 'word' || token.kind === 'quoted') &&
      tokens[at + 1]?.text === '.' &&
      tokens[at - 1]?.text !== '.'
        ? [nameOf(token)]
        : [],
    ),
  );
}

function skipped(tokens: readonly Token[], at: number): number {
  return tokens[at]?.kind === 'space' ? at + 1 : at;
}
