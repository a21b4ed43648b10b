export { createRealtimeClient, type RealtimeClient, type RealtimeClientOptions } from './client.ts';
export type { ConnectionState } from './connection-state.ts';
export type { HostLike, HostTargetLike } from './host.ts';
export type { EventMap, EventOf, RealtimeEvent, RealtimeGap } from './realtime-event.ts';
export type { HeadersSource } from './stream.ts';
