import type { Clock } from '@cachekit/core';
import { RedisUnavailableError } from '../errors.ts';
import type { IoRedisConnectionLike } from './ioredis-like.ts';

/** A time without connection. It is shared by all who wait, so that together they wait one timeout per outage. */
interface Outage {
  readonly promise: Promise<IoRedisConnectionLike>;
  readonly resolve: (client: IoRedisConnectionLike) => void;
  /** Why nobody waits any longer. */
  over: RedisUnavailableError | undefined;
  readonly stop: () => void;
}

/** A client that ended for good is replaced, at most this often. */
const replaceEveryMs = 1_000;

/**
 * The connection for commands: opened at the first use, kept open, reconnected by ioredis itself.
 *
 * | state of the connection         | `whenReady()`                                    |
 * | ------------------------------- | ------------------------------------------------ |
 * | ready                           | resolves at once                                 |
 * | lost or opening, within timeout | waits for it, until the timeout since the loss   |
 * | lost for longer                 | rejects at once, until the connection is back    |
 * | closed                          | rejects at once                                  |
 */
export class Connection {
  readonly #open: () => IoRedisConnectionLike;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  #client: IoRedisConnectionLike | undefined;
  #openedAt = 0;
  #outage: Outage | undefined;
  #lastError: unknown;
  #closed = false;
  readonly #lossListeners = new Set<() => void>();

  /** @param open - Makes a client that is not connected yet. */
  constructor(open: () => IoRedisConnectionLike, timeoutMs: number, clock: Clock) {
    this.#open = open;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /** The client, if a command would be written at once. */
  get ready(): IoRedisConnectionLike | undefined {
    const client = this.#client;
    return client !== undefined && writes(client) ? client : undefined;
  }

  async whenReady(): Promise<IoRedisConnectionLike> {
    if (this.#closed) throw unavailable('the executor is closed');
    const client = this.#current();
    if (writes(client)) return client;
    this.#outage ??= this.#begin();
    if (this.#outage.over !== undefined) throw this.#outage.over;
    return this.#outage.promise;
  }

  /** Calls `listener` whenever a connection that was open is lost; returns the function that ends this. */
  onLoss(listener: () => void): () => void {
    this.#lossListeners.add(listener);
    return () => this.#lossListeners.delete(listener);
  }

  /** What the connection said last about its trouble. */
  get lastError(): unknown {
    return this.#lastError;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client?.disconnect();
    this.#client = undefined;
    this.#outage?.stop();
    this.#outage = undefined;
  }

  #current(): IoRedisConnectionLike {
    const client = this.#client;
    if (
      client !== undefined &&
      (client.status !== 'end' || Math.abs(this.#clock.now() - this.#openedAt) < replaceEveryMs)
    ) {
      return client;
    }
    const opened = this.#open();
    this.#client = opened;
    this.#openedAt = this.#clock.now();
    this.#watch(opened);
    opened.connect().catch(ignore);
    return opened;
  }

  #watch(client: IoRedisConnectionLike): void {
    client.on('error', (error: unknown) => {
      this.#lastError = error;
    });
    client.on('ready', () => {
      if (client !== this.#client || !writes(client)) return;
      this.#lastError = undefined;
      this.#outage?.resolve(client);
      this.#outage?.stop();
      this.#outage = undefined;
    });
    client.on('close', () => {
      if (client !== this.#client) return;
      this.#outage ??= this.#begin();
      for (const listener of [...this.#lossListeners]) listener();
    });
  }

  #begin(): Outage {
    const { promise, resolve, reject } = Promise.withResolvers<IoRedisConnectionLike>();
    // Often nobody waits.
    promise.catch(ignore);
    const end = (message: string): void => {
      outage.over = unavailable(message, this.#lastError);
      reject(outage.over);
    };
    const timer = this.#clock.setTimeout(
      () => end(`no connection within ${this.#timeoutMs} ms`),
      this.#timeoutMs,
    );
    const stop = (): void => {
      this.#clock.clearTimeout(timer);
      if (this.#closed) end('the executor is closed');
    };
    const outage: Outage = { promise, resolve, over: undefined, stop };
    return outage;
  }
}

function writes(client: IoRedisConnectionLike): boolean {
  return client.status === 'ready' && client.stream?.writable !== false;
}

function unavailable(message: string, cause?: unknown): RedisUnavailableError {
  const reason = cause instanceof Error ? ` (${cause.message || cause.name})` : '';
  return new RedisUnavailableError('connection', { message: message + reason, sent: false, cause });
}

function ignore(): void {
  // The state of the connection is what counts; its 'error' events are kept in lastError.
}
