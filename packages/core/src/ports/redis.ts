/** What a Redis command takes as an argument. */
export type RedisArgument = string | number;

/**
 * A Lua script that runs whole on the server.
 *
 * Every key it touches is in `KEYS`, and on a cluster all of them are in one slot.
 */
export interface RedisScript {
  /** Name for errors and metrics. */
  readonly name: string;
  readonly lua: string;
}

/** What the client behind an executor can do. */
export interface RedisCapabilities {
  /** The key space is split in slots: a script or `MGET` takes keys of one slot only. */
  readonly cluster: boolean;
  /** The client can hold a subscriber connection. */
  readonly subscribe: boolean;
}

/**
 * Runs commands and scripts on Redis through a client that the user owns.
 *
 * An implementer promises: nothing connects before the first call; a call rejects within `commandTimeout` of the
 * executor whatever the client's own retries do; replies are strings, integers, `null` or arrays of them; a script is
 * sent as `EVALSHA` and repeated once as `EVAL` after `NOSCRIPT`.
 */
export interface RedisExecutor {
  readonly capabilities: RedisCapabilities;
  /** Runs one command; on a cluster it is sent to the node of `args[0]`. */
  command(name: string, ...args: RedisArgument[]): Promise<unknown>;
  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
  /** Keys that begin with the literal `prefix`, in batches, on every master; by `SCAN`, never `KEYS`. */
  scan(prefix: string): AsyncIterable<readonly string[]>;
  /** Opens a connection for subscriptions; it is separate from the command connection. */
  subscriber(): RedisSubscriber;
  /** Closes what the executor opened itself; the user's client stays open. */
  close(): Promise<void>;
}

/** What can be known of a connection: `ready` means nothing sent from now on is missed; `lost` ends that. */
export type ConnectionState = 'ready' | 'lost';

/**
 * One connection that receives published messages.
 *
 * It connects at the first `subscribe`, reconnects by itself and subscribes again. Messages published while the
 * connection was lost are gone: every `lost` must be taken as "anything may have been said".
 */
export interface RedisSubscriber {
  /** Resolves once the server has confirmed the subscription, and gives the function that ends it. */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>>;
  /** Calls `listener` at every change; returns the function that unsubscribes it. */
  onState(listener: (state: ConnectionState) => void): () => void;
  close(): Promise<void>;
}
