/** What a server said of one policy in `RateLimit`. */
export interface RateLimitItem {
  readonly policy: string;
  readonly remaining: number;
  /** Seconds; absent if the server does not say. */
  readonly seconds: number | undefined;
}

// No text matches in two ways: a server could hold the process up with one that matches in none.
const item =
  /^\s*"((?:[^"\\]|\\["\\])*)"\s*((?:;\s*[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[^"\\]|\\["\\])*"|:[A-Za-z0-9+/=]*:|[^:;,"\s][^;,"\s]*))?\s*)*)(?:,|$)/;
const parameter =
  /;\s*([a-z*][a-z0-9_.*-]*)(?:=("(?:[^"\\]|\\["\\])*"|:[A-Za-z0-9+/=]*:|[^:;,"\s][^;,"\s]*))?/g;

/**
 * Reads a `RateLimit` field. One that is malformed says nothing, as the draft asks of clients.
 *
 * @see draft-ietf-httpapi-ratelimit-headers-11 section 4, RFC 9651 section 4.2.1 (lists)
 */
export function parseRateLimit(field: string | null): readonly RateLimitItem[] {
  const items: RateLimitItem[] = [];
  for (let rest = field?.trim() ?? ''; rest !== ''; ) {
    const match = item.exec(rest);
    if (match === null) return [];
    rest = rest.slice(match[0].length);
    if (match[0].endsWith(',') && rest.trim() === '') return [];
    const parameters = new Map<string, string>();
    for (const [, name, value] of (match[2] as string).matchAll(parameter)) {
      parameters.set(name as string, value ?? '?1');
    }
    const remaining = integer(parameters.get('r'));
    // Without what remains the item says nothing.
    if (remaining === undefined) continue;
    items.push({
      policy: (match[1] as string).replace(/\\(.)/g, '$1'),
      remaining,
      seconds: integer(parameters.get('t')),
    });
  }
  return items;
}

function integer(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * Reads a `Retry-After` field: milliseconds from `now`, or `undefined` if it is none.
 *
 * @see RFC 9110 section 10.2.3
 */
export function parseRetryAfter(field: string | null, now: number): number | undefined {
  const text = field?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const date = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
