import type { WarmOptions, WarmProgress } from '../cache/warm-up.ts';
import { ArgumentError, asArgument, assertKnownOptions, listed } from '../errors.ts';
import { getManyOrLoad } from './get-many-or-load.ts';
import type { EngineParts } from './parts.ts';

const warmOptions = ['ids', 'key', 'load', 'batch', 'onProgress', 'signal'];

/** Loads what is not there yet, batch after batch. A batch that fails does not end the others. */
export async function warm<Id>(parts: EngineParts, options: WarmOptions<Id, unknown>): Promise<WarmProgress> {
  parts.use();
  asArgument(() => assertKnownOptions('warm', options, warmOptions));
  const { key, load, batch = 100, onProgress, signal } = options;
  for (const given of [key, load, onProgress ?? load, signal === undefined ? load : signal?.throwIfAborted]) {
    if (typeof given !== 'function')
      throw new ArgumentError('warm: give { ids, key, load, batch, onProgress, signal }');
  }
  if (!Number.isInteger(batch) || batch < 1) {
    throw new ArgumentError(`warm: batch is a whole number of 1 or more; got ${String(batch)}`);
  }
  const ids = [...listed('warm: ids', options.ids)];
  let progress: WarmProgress = { done: 0, total: ids.length, failed: 0 };
  for (let start = 0; start < ids.length; start += batch) {
    signal?.throwIfAborted();
    const some = ids.slice(start, start + batch);
    let { failed } = progress;
    try {
      await getManyOrLoad(parts, some, key, load, undefined);
    } catch (error) {
      // A wrong call is wrong for every batch.
      if (error instanceof ArgumentError) throw error;
      failed += some.length;
    }
    progress = { done: start + some.length, total: ids.length, failed };
    onProgress?.(progress);
  }
  return progress;
}
