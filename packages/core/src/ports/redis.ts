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
  /** The client can hold connections on which the server tells of changed keys; absent means that it cannot. */
  readonly tracking?: boolean;
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
  /** After this long the caller of a command is told that it failed; absent: nobody knows. */
  readonly timeoutMs?: number;
  /** Runs one command; on a cluster it is sent to the node of `args[0]`. */
  command(name: string, ...args: RedisArgument[]): Promise<unknown>;
  /** Runs a command that names no keys on every master of a cluster; absent where there is one server to ask. */
  commandOnMasters?(name: string, ...args: RedisArgument[]): Promise<readonly unknown[]>;
  /** Runs a script; its keys are in one slot on a cluster. */
  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
  /** Keys that begin with the literal `prefix`, in batches, on every master; by `SCAN`, never `KEYS`. */
  scan(prefix: string): AsyncIterable<readonly string[]>;
  /** Opens a connection for subscriptions; it is separate from the command connection. */
  subscriber(): RedisSubscriber;
  /**
   * Makes what hears of every change of keys that begin with the literal `prefix`; there where `capabilities.tracking`
   * is `true`. It connects when it is started.
   */
  tracker?(prefix: string): RedisTracker;
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
  /** Ends every subscription and the connection. */
  close(): Promise<void>;
}

/** Whoever wants to know which keys change. */
export interface RedisTrackingListener {
  /** Somebody wrote or deleted these keys, or they expired or were evicted; writers hear of their own changes too. */
  changed(keys: readonly string[]): void;
  /** Somebody dropped everything at once. */
  flushed(): void;
  /** From now on every change is told. */
  ready(): void;
  /** From now on changes may be missed, until `ready`. */
  lost(): void;
  /** The server does not allow it or cannot do it; nothing is told or tried any more. */
  refused(error: unknown): void;
}

/**
 * Hears of changed keys from the server itself, whoever changes them and by whatever client. It reconnects by itself.
 *
 * @see https://redis.io/docs/latest/develop/reference/client-side-caching/
 */
export interface RedisTracker {
  /** Connects, and tells the listener of everything from then on. */
  start(listener: RedisTrackingListener): void;
  /** Ends its connections. */
  close(): Promise<void>;
}
