/** The lines `name:value` of what `INFO` answers. */
export function parseInfo(reply: unknown): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of String(reply).split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** A field as a number; `NaN` if there is none. */
export function numberOf(fields: ReadonlyMap<string, string>, name: string): number {
  const text = fields.get(name) ?? '';
  return text === '' ? Number.NaN : Number(text);
}
