/** A number of conversations as one says it on a command line: `10k`, `100k`, `1m`. */
export function countOf(text: string): number {
  const match = /^(\d+)(k|m)?$/i.exec(text);
  const count =
    Number(match?.[1]) * (match?.[2] === undefined ? 1 : match[2].toLowerCase() === 'k' ? 1_000 : 1_000_000);
  if (!Number.isSafeInteger(count) || count < 20)
    throw new Error(`--conversations takes 10k, 100k, 1m; got ${text}`);
  return count;
}
