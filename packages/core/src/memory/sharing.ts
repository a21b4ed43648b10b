import { deepFreeze } from './deep-freeze.ts';

/**
 * What callers have of a value that memory holds.
 *
 * - `freeze`: the very same object, frozen all the way down where it is made of plain objects and arrays.
 * - `clone`: a copy of their own, by `structuredClone`; a hit then costs what the copy costs.
 * - `reference`: the very same object; whoever changes it changes the cache.
 */
export type Sharing = 'freeze' | 'clone' | 'reference';

/** The value as memory is to hold it. @throws DataCloneError in mode `clone` for what cannot be copied. */
export function kept(value: unknown, sharing: Sharing): unknown {
  if (sharing === 'freeze') return deepFreeze(value);
  return sharing === 'clone' ? copy(value) : value;
}

/** The value as a caller is to have it. */
export function handedOut(value: unknown, sharing: Sharing): unknown {
  if (sharing !== 'clone') return value;
  try {
    return copy(value);
  } catch {
    // What cannot be copied is not in memory, so nobody else has it from there.
    return value;
  }
}

function copy(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? structuredClone(value) : value;
}
