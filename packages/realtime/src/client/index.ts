export type { ConnectionState } from './connection-state.ts';
export { createRealtimeClient } from './create-realtime-client.ts';
export type { HostLike, HostTargetLike } from './host.ts';
export type { RealtimeClient, RealtimeClientOptions } from './realtime-client.ts';
export type { EventMap, EventOf, RealtimeEvent, RealtimeGap } from './realtime-event.ts';
export type { HeadersSource } from './stream.ts';
