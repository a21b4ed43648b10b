export {
  type BindQueryClientOptions,
  type BoundEvent,
  bindQueryClient,
  clockHeader,
  type EventClient,
  type KeysOfEvent,
  type QueryClientBinding,
} from './bind-query-client.ts';
export type { QueryCacheEventLike, QueryClientLike, QueryLike } from './query-client-like.ts';
export type { QueryKeyLike } from './query-key.ts';
