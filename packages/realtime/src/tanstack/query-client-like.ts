import type { QueryKeyLike } from './query-key.ts';

/** The part of a query of TanStack Query that is used. */
export interface QueryLike {
  readonly queryKey: QueryKeyLike;
  readonly queryHash: string;
  readonly state: { readonly fetchStatus: 'fetching' | 'paused' | 'idle'; readonly data?: unknown };
  isActive(): boolean;
  isDisabled(): boolean;
}

/** What a query cache tells. */
export interface QueryCacheEventLike {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: a query is invariant in its data, so no narrower type takes them all
  readonly query: any;
  /** With `updated`: what happened to the query, such as `fetch`, `success` or `error`. */
  readonly action?: { readonly type: string };
}

/** The part of a `QueryClient` of TanStack Query 5 that is used. */
export interface QueryClientLike {
  getQueryCache(): {
    // biome-ignore lint/suspicious/noExplicitAny: a query is invariant in its data, so no narrower type takes them all
    findAll(filters?: { queryKey?: QueryKeyLike }): any[];
    subscribe(listener: (event: QueryCacheEventLike) => void): () => void;
  };
  invalidateQueries(
    filters: {
      queryKey: QueryKeyLike;
      exact: true;
      refetchType: 'active' | 'none';
    },
    options?: { cancelRefetch?: boolean },
  ): Promise<void>;
}
