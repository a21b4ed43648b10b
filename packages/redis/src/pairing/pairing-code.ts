import { ArgumentError, escapePart, globalPrefix } from '@cachekit/core';
import type { RandomBytes } from '../secret.ts';
import { shown } from '../shown.ts';

/** Consonants only: no code is a word, and none can be misread. @see RFC 8628, section 6.1 */
const alphabet = 'BCDFGHJKLMNPQRSTVWXZ';
/** 34 bits: with ten attempts per person and ten minutes of life, one guess in a thousand million succeeds. */
const codeLength = 8;
/** Greatest multiple of the size of the alphabet that a byte can hold: what is above would favour some letters. */
const fair = 256 - (256 % alphabet.length);
/** Longest name of one who claims, in characters. */
const maxNameLength = 256;

/** A code such as `WDJBMJHT`. */
export function newCode(random: RandomBytes): string {
  let code = '';
  while (code.length < codeLength) {
    for (const byte of random(2 * codeLength)) {
      if (byte < fair && code.length < codeLength) code += alphabet[byte % alphabet.length];
    }
  }
  return code;
}

/** The code as it is meant: people write it in small letters, with a dash or spaces. Nothing if it cannot be one. */
export function readCode(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > 4 * codeLength) return undefined;
  const code = text.replace(/[\s-]/g, '').toUpperCase();
  return code.length === codeLength && [...code].every((letter) => alphabet.includes(letter))
    ? code
    : undefined;
}

/** The secret of the one who made the code: the code, so that it can be found, and 256 random bits. */
export function pairingSecret(code: string, secret: string): string {
  return `${code}.${secret}`;
}

/** The parts of a secret, or nothing if it is none. */
export function parsePairingSecret(
  secret: unknown,
): { readonly code: string; readonly secret: string } | undefined {
  const match = typeof secret === 'string' ? /^([A-Z]{8})\.([\w-]{43})$/.exec(secret) : null;
  const [, code, rest] = match ?? [];
  return code === undefined || rest === undefined ? undefined : { code, secret: rest };
}

/** The hash of one pairing; also the channel on which its changes are told. */
export function pairingKey(namespace: string, code: string): string {
  return `${globalPrefix(namespace, 's')}pairing:${code}`;
}

/** The number of attempts of one who claims. */
export function attemptsKey(namespace: string, by: string): string {
  return `${globalPrefix(namespace, 's')}attempts:${escapePart(by)}`;
}

/** Who claims. */
export function assertClaimer(by: string): string {
  if (typeof by === 'string' && by !== '' && by.length <= maxNameLength) return by;
  throw new ArgumentError(`by: give a string of 1 to ${maxNameLength} characters; got ${shown(by)}`);
}
