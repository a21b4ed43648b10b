/** An item of a structured list: a string and parameters that are integers. */
export interface Item {
  readonly name: string;
  readonly parameters: Readonly<Record<string, number>>;
}

/**
 * Reads what RFC 9651 calls a List of String Items with Integer parameters, and nothing else.
 *
 * @throws Error where the text leaves that grammar.
 */
export function parseItems(text: string): Item[] {
  const items: Item[] = [];
  const item = /"([ !#-[\]-~]*)"((?:;[a-z*][a-z0-9_.*-]*=-?\d{1,15})*)/y;
  for (let at = 0; ; ) {
    item.lastIndex = at;
    const match = item.exec(text);
    if (match === null) throw new Error(`no item at ${at} of ${text}`);
    const parameters: Record<string, number> = {};
    for (const pair of (match[2] ?? '').split(';').slice(1)) {
      const [name, value] = pair.split('=') as [string, string];
      parameters[name] = Number(value);
    }
    items.push({ name: match[1] as string, parameters });
    at = item.lastIndex;
    if (at === text.length) return items;
    const separator = /[ \t]*,[ \t]*(?=.)/y;
    separator.lastIndex = at;
    if (separator.exec(text) === null) throw new Error(`no separator at ${at} of ${text}`);
    at = separator.lastIndex;
  }
}
