import { ArgumentError } from '../errors.ts';
import type { CacheKey } from '../key-space.ts';
import type { LoadContext, Loader } from '../loader.ts';
import type { ReadOptions } from '../read-options.ts';
import { read } from './get-or-load.ts';
import { invalidate } from './invalidate.ts';
import type { EngineParts } from './parts.ts';

/** How an entry is found by something else than its key, as {@link Cache.getOrLoadVia} takes it. */
export interface IndexedRead<Id, T> {
  /** Gives the id that the index leads to; `null` if it leads nowhere. */
  readonly find: Loader<Id | null>;
  /** The key of the one entry of an id. */
  readonly key: (id: NoInfer<Id>) => CacheKey<T>;
  /** Loads the entry of an id; `null` if it does not exist. */
  readonly load: (id: NoInfer<Id>, context: LoadContext<T>) => NoInfer<T> | null | Promise<NoInfer<T> | null>;
  /** Whether the index still leads to this value; if not, it is looked up once more. */
  readonly matches?: (value: NoInfer<T>) => boolean;
}

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
