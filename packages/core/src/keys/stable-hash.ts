import { ArgumentError } from '../errors.ts';
import { sha256 } from './sha256.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const pairs = [...alphabet].flatMap((one) => [...alphabet].map((other) => one + other));
const deepest = 32;

/** Hashes of the texts seen last: the same few parameters come again and again, and hashing costs more than a hit. */
const known = new Map<string, string>();
const mostKnown = 1_000;
const longestKnown = 256;

/**
 * A short text that is the same for the same parameters, in any process and any order of keys.
 *
 * 22 characters `A-Z a-z 0-9 - _`: the first 128 bits of SHA-256 over a text in which every kind of value is written
 * differently, so that nobody can choose parameters that answer with somebody else's entry.
 *
 * | value                                  | counts as                                          |
 * | -------------------------------------- | -------------------------------------------------- |
 * | a property that is `undefined`         | a property that is not there                       |
 * | `undefined` in an array                | itself, not `null`                                 |
 * | `-0`                                   | `0`                                                |
 * | `NaN`, `Infinity`                      | themselves                                         |
 * | `1`, `1n`, `"1"`, a date               | four different values                              |
 * | functions, symbols, instances of classes, `Map`, `Set`, circles, more than 32 levels, invalid dates | refused |
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for what is refused, naming where it stands.
 * @example
 * stableHash({ limit: 20, from: new Date(0) }) === stableHash({ from: new Date(0), limit: 20 }); // true
 */
export function stableHash(params: unknown): string {
  const text = canonical(params, 'params', 0);
  const before = known.get(text);
  if (before !== undefined) return before;
  const hash = encoded(sha256(text));
  if (text.length <= longestKnown) {
    if (known.size >= mostKnown) known.clear();
    known.set(text, hash);
  }
  return hash;
}

/** The same, of all that `params` has as its own but `except`; for whoever remembers what it is given. */
export function freshHash(params: object, except: string | undefined): string {
  const text = except === undefined ? structure(params, 'params', 0) : members(params, 'params', 0, except);
  return encoded(sha256(text));
}

function canonical(value: unknown, path: string, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return value === 0 ? '0' : String(value);
    case 'boolean':
      return value ? 't' : 'f';
    case 'bigint':
      return `${value}n`;
    case 'undefined':
      return 'u';
    case 'object':
      return value === null ? 'z' : structure(value, path, depth);
    default:
      throw new ArgumentError(`${path}: a ${typeof value} cannot be part of a key`);
  }
}

function structure(value: object, path: string, depth: number): string {
  if (depth === deepest)
    throw new ArgumentError(`${path}: parameters have at most ${deepest} levels and no circles`);
  if (Array.isArray(value)) {
    let text = '[';
    for (let index = 0; index < value.length; index++) {
      text += `${canonical(value[index], `${path}[${index}]`, depth + 1)},`;
    }
    return `${text}]`;
  }
  if (value instanceof Date) {
    const time = value.getTime();
    if (Number.isNaN(time)) throw new ArgumentError(`${path}: an invalid date cannot be part of a key`);
    return `d${time}`;
  }
  const prototype = Object.getPrototypeOf(value) as object | null;
  // A plain object of another realm has another Object.prototype, one that has no prototype itself.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new ArgumentError(
      `${path}: an instance of ${className(prototype)} cannot be part of a key; give plain data`,
    );
  }
  return members(value, path, depth);
}

function members(value: object, path: string, depth: number, except?: string): string {
  const names = Object.keys(value).filter((name) => name !== except);
  if (names.length > 1) names.sort();
  let text = '{';
  for (const name of names) {
    const member = (value as Record<string, unknown>)[name];
    if (member === undefined) continue;
    text += `${JSON.stringify(name)}:${canonical(member, `${path}.${name}`, depth + 1)},`;
  }
  return `${text}}`;
}

function className(prototype: object): string {
  const name: unknown = prototype.constructor?.name;
  return typeof name === 'string' && name !== '' ? name : 'a class';
}

function encoded(words: Int32Array): string {
  let text = '';
  // 22 characters of 6 bits hold 132 bits, the last four of which are zero.
  for (let first = 0; first < 132; first += 12) {
    const word = first >> 5;
    const left = 32 - (first & 31);
    const here = words[word] as number;
    const next = word === 3 ? 0 : (words[word + 1] as number);
    const bits = left >= 12 ? here >>> (left - 12) : (here << (12 - left)) | (next >>> (20 + left));
    text += pairs[bits & 4095];
  }
  return text;
}
