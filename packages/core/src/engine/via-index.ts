import type { IndexedRead } from '../cache/indexed-read.ts';
import type { ReadOptions } from '../cache/read-options.ts';
import { ArgumentError } from '../errors.ts';
import type { CacheKey } from '../keys/key-space.ts';
import { read } from './get-or-load.ts';
import { invalidate } from './invalidate.ts';
import type { EngineParts } from './parts.ts';

/** The entry that an index leads to. The index holds the id alone, so one invalidation of the entry is enough. */
export async function viaIndex(
  parts: EngineParts,
  index: CacheKey,
  how: IndexedRead<unknown, unknown>,
  options: ReadOptions | undefined,
): Promise<unknown> {
  const { find, key, load, matches } = how;
  if (typeof key !== 'function' || typeof load !== 'function') {
    throw new ArgumentError('getOrLoadVia: give { find, key, load }');
  }
  for (let attempt = 0; ; attempt++) {
    const { value: id, state } = await read(parts, index, find, options);
    if (id === null) return null;
    const { value } = await read(parts, key(id), (context) => load(id, context), options);
    const right = value !== null && (matches === undefined || matches(value));
    if (right) return value;
    // What was just found leads nowhere: the data itself says so.
    if (state === 'miss' || attempt > 0) return null;
    await invalidate(parts, [index]).catch(() => {});
  }
}
