import type { CacheKey } from '../keys/cache-key.ts';
import type { LoadContext, Loader } from './loader.ts';

/** How an entry is found by something else than its key, as `cache.getOrLoadVia()` takes it. */
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
