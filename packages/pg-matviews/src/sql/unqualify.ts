import { nameOf, scanSql } from './scan.ts';

/** `query` with `schema.name` written as `name` wherever `name` is one of `names`. */
export function unqualify(query: string, schema: string, names: ReadonlySet<string>): string {
  const tokens = scanSql(query);
  let text = '';
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    const name = tokens[at + 2];
    if (
      token !== undefined &&
      name !== undefined &&
      tokens[at + 1]?.text === '.' &&
      tokens[at - 1]?.text !== '.' &&
      nameOf(token) === schema &&
      (name.kind === 'word' || name.kind === 'quoted') &&
      names.has(nameOf(name))
    ) {
      at += 1;
    } else {
      text += token?.text ?? '';
    }
  }
  return text;
}
