import { reconnectDelayMs } from './reconnect-delay.ts';

/** Options that CacheKit sets on connections of its own, in place of those of the client it takes as a pattern. */
export type ConnectionOptions = Readonly<Record<string, unknown>>;

/** A connection on which the server says nothing for this long, though it owes a reply, is given up. */
export function stallMs(timeoutMs: number): number {
  return Math.max(2_000, 4 * timeoutMs);
}

/**
 * Of the connection for commands.
 *
 * What could not be sent is rejected and not queued, and what was lost with a connection is not sent again: a write
 * that arrives long after its caller has given up would overwrite newer data.
 */
export function commandOptions(timeoutMs: number, random: () => number): ConnectionOptions {
  return {
    ...shared(timeoutMs),
    retryStrategy: (attempt: number) => reconnectDelayMs(attempt, random),
    sentinelRetryStrategy: (attempt: number) => reconnectDelayMs(attempt, random),
    // A master that was demoted answers so; only a new connection finds the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    socketTimeout: stallMs(timeoutMs),
    maxRetriesPerRequest: 0,
  };
}

/**
 * Of the cluster client for commands.
 *
 * @param redisOptions - Those of the client that is the pattern: its credentials and TLS.
 */
export function clusterOptions(
  timeoutMs: number,
  random: () => number,
  redisOptions: object | undefined,
): ConnectionOptions {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    // It would send EVALSHA to the node of the digest instead of the node of the keys.
    enableAutoPipelining: false,
    // A replica may not have heard yet what its master deleted.
    scaleReads: 'master',
    shardedSubscribers: false,
    clusterRetryStrategy: (attempt: number) => reconnectDelayMs(attempt, random),
    // ioredis 5 would take these in place of those of the pattern.
    redisOptions: {
      ...redisOptions,
      ...shared(timeoutMs),
      socketTimeout: stallMs(timeoutMs),
    },
  };
}

/** Of one connection for subscriptions. It never comes back by itself: the subscriber opens another. */
export function subscriberOptions(timeoutMs: number): ConnectionOptions {
  return {
    ...shared(timeoutMs),
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    reconnectOnError: null,
    // ioredis 6 speaks RESP3, where a subscriber's messages are push frames; RESP2 is the same in 5 and 6.
    protocol: 2,
    autoResubscribe: false,
    readOnly: false,
    socketTimeout: undefined,
  };
}

function shared(timeoutMs: number): ConnectionOptions {
  return {
    lazyConnect: true,
    connectTimeout: stallMs(timeoutMs),
    // The next one is asked then, and nothing is left open at the one that does not answer.
    sentinelCommandTimeout: stallMs(timeoutMs),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: false,
    enableReadyCheck: true,
    commandTimeout: undefined,
    stringNumbers: false,
    replyMapping: 'legacy',
    monitor: false,
  };
}
