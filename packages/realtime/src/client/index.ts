export {
  createRealtimeClient,
  type EventMap,
  type EventOf,
  type HeadersSource,
  type RealtimeClient,
  type RealtimeClientOptions,
  type RealtimeEvent,
  type RealtimeGap,
} from './client.ts';
export type { ConnectionState } from './connection-state.ts';
export type { HostLike, HostTargetLike } from './host.ts';
