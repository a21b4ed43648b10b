import { codeUnitAt } from './code-unit.ts';
import { ArgumentError } from './errors.ts';
import type { EntryKind, RemoteEntry, RemoteRead, TierClock } from './ports/remote-tier.ts';

/** First two characters of everything that is written in this format; another format starts otherwise. */
export const entryMagic = 'C1';

/** Length of a version and of a token, in characters `A-Z a-z 0-9 - _`: 60 random bits. */
export const tokenLength = 10;

/** A field of the header: zero-based start and length, in bytes (the header is ASCII). */
export interface EntryField {
  readonly start: number;
  readonly length: number;
}

/** The fields of the header by name. */
export type EntryFields = Readonly<
  Record<
    | 'magic'
    | 'kind'
    | 'codec'
    | 'clock'
    | 'freshUntil'
    | 'version'
    | 'refreshToken'
    | 'refreshUntil'
    | 'loadMs'
    | 'tagBytes',
    EntryField
  >
>;

/**
 * Where the fields of the header are, so that a script on the server reads and changes them by offset.
 *
 * Numbers are decimal with leading zeros. After the header come the tags, joined by {@link tagSeparator}, and after
 * them the payload. A lease is a header alone: `kind` is {@link entryKinds}`.lease`, `version` the token of the
 * loader, `freshUntil` when the lease runs out.
 *
 * | field          | holds                                                              |
 * | -------------- | ------------------------------------------------------------------ |
 * | `magic`        | {@link entryMagic}                                                 |
 * | `kind`         | one letter of {@link entryKinds}                                   |
 * | `codec`        | id of the codec of the payload                                     |
 * | `clock`        | when the load began, microseconds                                  |
 * | `freshUntil`   | milliseconds; 0 for an entry that was made stale on purpose        |
 * | `version`      | differs for every write of the key                                 |
 * | `refreshToken` | who refreshes the entry while it stays readable, or {@link noToken} |
 * | `refreshUntil` | until when, milliseconds                                           |
 * | `loadMs`       | how long the load took                                             |
 * | `tagBytes`     | length of the tags that follow the header                          |
 */
export const entryFields: EntryFields = {
  magic: { start: 0, length: 2 },
  kind: { start: 2, length: 1 },
  codec: { start: 3, length: 1 },
  clock: { start: 4, length: 16 },
  freshUntil: { start: 20, length: 13 },
  version: { start: 33, length: tokenLength },
  refreshToken: { start: 43, length: tokenLength },
  refreshUntil: { start: 53, length: 13 },
  loadMs: { start: 66, length: 5 },
  tagBytes: { start: 71, length: 5 },
};

/** Length of the header in bytes; the tags begin here. */
export const entryHeaderLength = 76;

/** The letter of each kind in the header. */
export const entryKinds = { value: 'V', negative: 'N', error: 'E', lease: 'L' } as const;

/** No lease lasts longer, in milliseconds. What says that it does is damage, and guards nothing. */
export const longestLeaseMs = 300_000;

/** Stands in `refreshToken` while nobody refreshes. */
export const noToken: string = '.'.repeat(tokenLength);

/** Between two tags. No tag contains it, because tags are wire keys. */
export const tagSeparator = '\x1f';

/** The characters of a version and of a token. */
export const tokenAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const token = /^[A-Za-z0-9_-]{10}$/;

/**
 * A new version or token.
 *
 * @param random - Gives numbers in `[0, 1)`, such as `Math.random`. Tokens need to differ, not to be secret.
 */
export function newToken(random: () => number): string {
  let text = '';
  // Two draws of 30 bits each: one draw of 60 would ask for more bits than a double has.
  for (let half = 0; half < 2; half++) {
    let bits = Math.floor(random() * 0x4000_0000);
    for (let index = 0; index < tokenLength / 2; index++) {
      text += tokenAlphabet[bits & 63];
      bits >>>= 6;
    }
  }
  return text;
}

/**
 * The entry as one string: a header of fixed width in ASCII, then the tags, then the payload.
 *
 * Times are cut to whole numbers and to what their field can hold.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if version, codec id or tags have not the shape the header needs.
 */
export function encodeEntry(entry: RemoteEntry): string {
  if (!token.test(entry.version)) {
    throw new ArgumentError(
      `A version has ${tokenLength} characters of A-Z a-z 0-9 - _; got ${JSON.stringify(entry.version)}`,
    );
  }
  if (entry.codec.length !== 1 || !isLetter(entry.codec)) {
    throw new ArgumentError(`A codec id is one ASCII letter; got ${JSON.stringify(entry.codec)}`);
  }
  const tags = tagsText(entry.tags);
  return (
    entryMagic +
    entryKinds[entry.kind] +
    entry.codec +
    digits(entry.clock, entryFields.clock) +
    digits(entry.freshUntil, entryFields.freshUntil) +
    entry.version +
    noToken +
    digits(0, entryFields.refreshUntil) +
    digits(entry.loadMs, entryFields.loadMs) +
    tags +
    entry.payload
  );
}

/** Entries that are written together often carry the same tags. */
let lastWritten: readonly string[] = [];
let lastWrittenText = '00000';

/** How long the tags are, and the tags. */
function tagsText(tags: readonly string[]): string {
  let same = tags.length === lastWritten.length;
  for (let index = 0; same && index < tags.length; index++) same = tags[index] === lastWritten[index];
  if (same) return lastWrittenText;
  for (const tag of tags) {
    if (tag === '' || tag.includes(tagSeparator)) {
      throw new ArgumentError(`Not the wire key of a tag: ${JSON.stringify(tag)}`);
    }
  }
  const text = tags.join(tagSeparator);
  const tagBytes = byteLength(text);
  if (tagBytes > 99_999) {
    throw new ArgumentError(`The tags of one entry take at most 99,999 bytes; got ${tagBytes}`);
  }
  lastWrittenText = digits(tagBytes, entryFields.tagBytes) + text;
  lastWritten = [...tags];
  return lastWrittenText;
}

/** The lease of a load as it stands in the value key. */
export function encodeLease(lease: { token: string; clock: TierClock; until: number }): string {
  if (!token.test(lease.token)) {
    throw new ArgumentError(
      `A token has ${tokenLength} characters of A-Z a-z 0-9 - _; got ${JSON.stringify(lease.token)}`,
    );
  }
  return (
    entryMagic +
    entryKinds.lease +
    '-' +
    digits(lease.clock, entryFields.clock) +
    digits(lease.until, entryFields.freshUntil) +
    lease.token +
    noToken +
    digits(0, entryFields.refreshUntil) +
    digits(0, entryFields.loadMs) +
    digits(0, entryFields.tagBytes)
  );
}

/**
 * What a stored string says. Never throws: nothing is absent, and what is no entry of this format is absent and
 * `damaged`.
 */
export function decodeRead(text: string | null | undefined): RemoteRead {
  if (text === null || text === undefined) return absent;
  if (!text.startsWith(entryMagic) || text.length < entryHeaderLength) return damaged;
  const letter = text[entryFields.kind.start];
  if (!isToken(text, entryFields.version)) return damaged;
  if (letter === entryKinds.lease) return readLease(text);
  const kind = kindOf(letter);
  const clock = fieldNumber(text, entryFields.clock);
  const freshUntil = fieldNumber(text, entryFields.freshUntil);
  const loadMs = fieldNumber(text, entryFields.loadMs);
  const tagBytes = fieldNumber(text, entryFields.tagBytes);
  const codec = text[entryFields.codec.start] as string;
  if (kind === undefined || !isLetter(codec) || !(clock + freshUntil + loadMs + tagBytes >= 0)) {
    return damaged;
  }
  // Tags are ASCII as wire keys are, so bytes are characters; a length that is not theirs is damage.
  const payloadStart = entryHeaderLength + tagBytes;
  if (text.length < payloadStart) return damaged;
  const version = fieldText(text, entryFields.version);
  const tags = tagBytes === 0 ? noTags : tagsOf(text, payloadStart);
  const payload = text.slice(payloadStart);
  return { state: 'entry', entry: { kind, clock, freshUntil, version, loadMs, tags, codec, payload } };
}

/** The text of one field of a stored string. */
export function fieldText(text: string, field: EntryField): string {
  return text.slice(field.start, field.start + field.length);
}

/** The number in one field of a stored string; `NaN` if it is none. */
export function fieldNumber(text: string, { start, length }: EntryField): number {
  const end = start + length;
  if (text.length < end) return Number.NaN;
  const middle = length > mostDigits ? end - mostDigits : start;
  const high = smallNumber(text, start, middle);
  const low = smallNumber(text, middle, end);
  return high < 0 || low < 0 ? Number.NaN : high * 10 ** mostDigits + low;
}

/** Digits of a number with which a machine reckons as with a small one. */
const mostDigits = 8;

/** Of {@link mostDigits} digits at most; -1 if they are none. Half of a number at a time takes a third of the time. */
function smallNumber(text: string, start: number, end: number): number {
  let number = 0;
  for (let index = start; index < end; index++) {
    const digit = codeUnitAt(text, index) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = (number * 10 + digit) | 0;
  }
  return number;
}

/** The stored string with one field changed. */
export function withField(text: string, field: EntryField, value: number | string): string {
  const part = typeof value === 'number' ? digits(value, field) : value;
  return text.slice(0, field.start) + part + text.slice(field.start + field.length);
}

const absent: RemoteRead = { state: 'absent' };
const damaged: RemoteRead = { state: 'absent', damaged: true };
const noTags: readonly string[] = [];
const zeros = '0'.repeat(16);

/** Entries that are read together often carry the same tags. */
let lastText = '';
let lastTags: readonly string[] = noTags;

function tagsOf(text: string, end: number): readonly string[] {
  if (lastText.length !== end - entryHeaderLength || !text.startsWith(lastText, entryHeaderLength)) {
    lastText = text.slice(entryHeaderLength, end);
    lastTags = lastText.split(tagSeparator);
  }
  return lastTags;
}

/** Which code units a token is made of. */
const tokenUnits = new Uint8Array(128);
for (let index = 0; index < tokenAlphabet.length; index++) tokenUnits[tokenAlphabet.charCodeAt(index)] = 1;

function isToken(text: string, { start, length }: EntryField): boolean {
  for (let index = start; index < start + length; index++) {
    if (tokenUnits[codeUnitAt(text, index)] !== 1) return false;
  }
  return true;
}

function isLetter(text: string): boolean {
  const code = text.charCodeAt(0) | 32;
  return code >= 97 && code <= 122;
}

/** A lease is a header and nothing else, and only its token and its times differ. */
function readLease(text: string): RemoteRead {
  const clock = fieldNumber(text, entryFields.clock);
  const until = fieldNumber(text, entryFields.freshUntil);
  if (!(clock + until >= 0)) return damaged;
  const token = fieldText(text, entryFields.version);
  return text === encodeLease({ token, clock, until }) ? { state: 'leased', until } : damaged;
}

function kindOf(letter: string | undefined): EntryKind | undefined {
  if (letter === entryKinds.value) return 'value';
  if (letter === entryKinds.negative) return 'negative';
  return letter === entryKinds.error ? 'error' : undefined;
}

function digits(value: number, { length }: EntryField): string {
  if (value === 0) return zeros.slice(0, length);
  const most = Math.min(10 ** length - 1, Number.MAX_SAFE_INTEGER);
  return String(Math.min(Math.max(Math.floor(value), 0), most)).padStart(length, '0');
}

function byteLength(ascii: string): number {
  for (let index = 0; index < ascii.length; index++) {
    if (ascii.charCodeAt(index) > 126) {
      throw new ArgumentError(`Wire keys of tags are ASCII; got ${JSON.stringify(ascii)}`);
    }
  }
  return ascii.length;
}
