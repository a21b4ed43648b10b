import { codeUnitAt } from '../code-unit.ts';
/**
 * The entity tag of a body: the same for the same text, in every process and however often it was loaded. Two texts share
 * one by chance hardly ever (64 bits); it is no protection against somebody who looks for two that do.
 *
 * Weak, because the same value may be written as JSON in more than one way.
 *
 * @see RFC 9110, 8.8.3
 * @see FNV-1a, 32 bits, twice with different primes
 * @example
 * const body = '{"id":7}';
 * new Response(body, { headers: { ETag: etagOf(body) } });
 */
export function etagOf(text: string): string {
  let one = 0x811c9dc5;
  let other = 0x9e3779b9 ^ text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = codeUnitAt(text, index);
    one = Math.imul(one ^ unit, 0x01000193);
    other = Math.imul(other ^ unit, 0x85ebca6b);
    // Without it the low bits of a product never hear of the high ones.
    other ^= other >>> 15;
  }
  return `W/"${(one >>> 0).toString(36)}${(other >>> 0).toString(36).padStart(7, '0')}"`;
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
