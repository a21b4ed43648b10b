import type { IndexedRead } from '../cache/indexed-read.ts';
import type { ReadOptions } from '../cache/read-options.ts';
import { ArgumentError, asArgument, assertKnownOptions } from '../errors.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import { read } from './get-or-load.ts';
import { invalidate } from './invalidate.ts';
import type { EngineParts, Outcome } from './parts.ts';

const indexedReadOptions = ['find', 'key', 'load', 'matches'];

/** The entry that an index leads to. The index holds the id alone, so one invalidation of the entry is enough. */
export async function viaIndex(
  parts: EngineParts,
  index: CacheKey,
  how: IndexedRead<unknown, unknown>,
  options: ReadOptions | undefined,
): Promise<unknown> {
  asArgument(() => assertKnownOptions('getOrLoadVia', how, indexedReadOptions));
  const { find, key, load, matches } = how;
  for (const given of [find, key, load, matches ?? find]) {
    if (typeof given !== 'function')
      throw new ArgumentError('getOrLoadVia: give { find, key, load, matches }');
  }
  const right = (value: unknown): boolean => value !== null && (matches === undefined || matches(value));
  for (let attempt = 0; ; attempt++) {
    const { value: id, state, clock } = await read(parts, index, find, options);
    if (id === null) return null;
    const entry = (minClock: TierClock | undefined): Promise<Outcome> =>
      read(parts, key(id), (context) => load(id, context), { ...options, ...(minClock && { minClock }) });
    const found = await entry(options?.minClock);
    if (right(found.value)) return found.value;
    if (state === 'miss' || attempt > 0) {
      // What was just found is right, unless the entry is from before.
      if (found.clock >= clock) return null;
      const { value } = await entry(clock);
      return right(value) ? value : null;
    }
    await invalidate(parts, [index]).catch(() => {});
  }
}
