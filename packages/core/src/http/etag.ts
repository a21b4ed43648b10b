import type { TierClock } from '../ports/remote-tier.ts';

/**
 * The entity tag of a value whose load began at `clock`: every write of a key has another one.
 *
 * Weak, because the same value may be written as JSON in more than one way.
 *
 * @see RFC 9110, 8.8.3
 */
export function etagOf(clock: TierClock): string {
  return `W/"${clock.toString(36)}"`;
}

/**
 * Whether the client already holds what would be sent, by the `If-None-Match` of its request.
 *
 * @see RFC 9110, 13.1.2: the comparison is the weak one
 */
export function isHeld(request: Headers, etag: string): boolean {
  const held = request.get('If-None-Match');
  if (held === null) return false;
  if (held.trim() === '*') return true;
  const opaque = withoutWeakness(etag);
  return held.match(/(?:W\/)?"[^"]*"/g)?.some((each) => withoutWeakness(each) === opaque) ?? false;
}

function withoutWeakness(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}
