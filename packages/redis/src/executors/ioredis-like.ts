/** One connection of ioredis, or one cluster client: the part of it that CacheKit uses. */
export interface IoRedisConnectionLike {
  /** `ready` is the one that matters: commands are written at once. */
  readonly status: string;
  /** Only a single connection has one. It may have ended while `status` is still `ready`. */
  readonly stream?: { readonly writable: boolean };
  connect(): Promise<void>;
  disconnect(reconnect?: boolean): void;
  // biome-ignore lint/suspicious/noExplicitAny: ioredis takes strings, numbers, buffers and arrays of them here
  call(command: string, ...args: any[]): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own arguments
  on(event: string, listener: (...args: any[]) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: a cluster takes nodes and options here, a single client only options
  duplicate(...overrides: any[]): IoRedisConnectionLike;
  /** Only a cluster has nodes. */
  nodes?(role: 'master'): IoRedisConnectionLike[];
  /** The addresses of each slot that the cluster has named last, the master first. */
  readonly slots?: readonly (readonly string[])[];
  refreshSlotsCache?(callback: (error?: Error | null) => void): void;
}

/**
 * A client of ioredis 5 or 6: `Redis` (standalone or by Sentinel) or `Cluster`.
 *
 * It is the pattern for the connections CacheKit opens: address, credentials, TLS and database are taken from it,
 * while time-outs, retries and queues are set by CacheKit. The client itself is not connected, used or closed.
 */
export interface IoRedisLike extends IoRedisConnectionLike {
  readonly isCluster: boolean;
  /** Only a cluster has `redisOptions`: those of each node. */
  readonly options: {
    // biome-ignore lint/suspicious/noExplicitAny: the key prefix is text or bytes
    readonly keyPrefix?: any;
    readonly redisOptions?: object | undefined;
    readonly sentinels?: readonly object[] | null | undefined;
  };
}
