/**
 * A ttl that is shorter by up to `jitter` of itself, by the key alone: every process and every load shortens it alike,
 * and entries that were made at one moment do not end at one.
 */
export function jittered(ttlMs: number, jitter: number, wire: string): number {
  return jitter === 0 ? ttlMs : ttlMs * (1 - jitter * fraction(wire));
}

/**
 * A number in `[0, 1)` that is the same for the same text.
 *
 * @see FNV-1a, 32 bits
 */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  // Texts that differ in the last character differ in the low bits alone; folded, they differ in the high ones too.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 0x1_0000_0000;
}
