import type { CacheKey } from '../keys/cache-key.ts';
import type { ManyLoader } from './loader.ts';

/** What `cache.warm()` takes. */
export interface WarmOptions<Id, T> {
  readonly ids: Iterable<Id>;
  /** The key of an id. */
  readonly key: (id: Id) => CacheKey<T>;
  readonly load: ManyLoader<Id, T>;
  /** Ids of one call of `load`. @defaultValue 100 */
  readonly batch?: number;
  /** Called after every batch. */
  readonly onProgress?: (progress: WarmProgress) => void;
  /** Ends the warm-up after the batch under way. */
  readonly signal?: AbortSignal;
}

/** How far a warm-up has come. */
export interface WarmProgress {
  /** Ids that were gone through. */
  readonly done: number;
  readonly total: number;
  /** Ids whose batch failed; they are left for the reads. */
  readonly failed: number;
}
