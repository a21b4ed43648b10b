import type { Clock, Duration } from '@cachekit/core';
import type { ConnectionState } from './connection-state.ts';
import type { HostLike } from './host.ts';
import type { EventMap, EventOf, RealtimeEvent, RealtimeGap } from './realtime-event.ts';
import type { HeadersSource } from './stream.ts';

/** Options of `createRealtimeClient`. */
export interface RealtimeClientOptions {
  /** Where `sseHandler` answers; may be relative in a browser. */
  readonly url: string | URL;
  /** Such as a token. As a function it is asked before every attempt. */
  readonly headers?: HeadersSource;
  /** Where the first stream starts: the `X-CacheKit-Pos` of a response that was read before, or `null` if it has none. */
  readonly position?: string | null | undefined;
  /** Between attempts, by full jitter. @defaultValue `{ min: "500ms", max: "30s" }` */
  readonly backoff?: { readonly min?: Duration; readonly max?: Duration };
  /** @defaultValue the global `fetch` */
  readonly fetch?: (url: string | URL, init: RequestInit) => Promise<Response>;
  readonly clock?: Clock;
  /** Numbers in [0, 1), for the jitter. @defaultValue Math.random */
  readonly random?: () => number;
  /** Tells when the device is online or wakes up. @defaultValue the global object, where it has events */
  readonly host?: HostLike;
}

/** Receives the events of one tenant. Every method that adds a listener returns the function that removes it. */
export interface RealtimeClient<Events extends EventMap = EventMap> {
  readonly state: ConnectionState;
  /** The last position reached; `undefined` before the first stream. */
  readonly position: string | undefined;
  /** Hears the events of one type. */
  on<Type extends keyof Events & string>(
    type: Type,
    listener: (data: Events[Type], event: RealtimeEvent<Events[Type], Type>) => void,
  ): () => void;
  /** Hears every event, before the listeners of its type. */
  onEvent(listener: (event: EventOf<Events>) => void): () => void;
  /** Hears every change of the state of the connection. */
  onState(listener: (state: ConnectionState, before: ConnectionState) => void): () => void;
  /** Hears that events may have been missed: everything shown may be old. */
  onGap(listener: (gap: RealtimeGap) => void): () => void;
  /** Hears what goes wrong and heals by itself, and what listeners throw. Without one, `reportError` gets the latter. */
  onError(listener: (error: unknown) => void): () => void;
  /** Opens the stream and keeps it open; does nothing while it is. */
  connect(): void;
  /** Ends the stream, timers and hooks; listeners stay. Any number of times. */
  close(): void;
}
