import { codeUnitAt } from '../code-unit.ts';

/**
 * 32 bits that are the same for the same text, spread over all of them; not for secrets.
 *
 * @see FNV-1a, 32 bits, with a finishing step: texts that differ in the last character alone differ in the high bits too
 */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ codeUnitAt(text, index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
