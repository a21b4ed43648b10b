import type { Clock, ConnectionState, RedisSubscriber, Timer } from '@cachekit/core';
import { RedisUnavailableError } from '../errors.ts';
import type { IoRedisConnectionLike } from './ioredis-like.ts';
import { reconnectDelayMs } from './reconnect-delay.ts';
import { isReplyError } from './reply-error.ts';
import { replyWithin } from './reply-within.ts';

/** What a subscriber needs of its executor. */
export interface SubscriberParts {
  /** Makes a connection that is not connected yet and does not come back by itself. */
  readonly open: (attempt: number) => Promise<IoRedisConnectionLike>;
  readonly timeoutMs: number;
  /** A connection that is not ready after this long is given up. */
  readonly stallMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly closed: () => void;
}

type Listener = (message: string) => void;

interface Channel {
  /** In a box each, so that one function can listen twice. */
  readonly listeners: Set<{ readonly listener: Listener }>;
  confirmed: boolean;
  waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[];
}

/** How often the server is asked for a sign of life, and how long it may take to give one. */
const heartbeatMs = 1_000;

/**
 * One subscription connection after the other: when one is lost, the next is opened, with a growing delay.
 *
 * | state      | next                                                                                  |
 * | ---------- | ------------------------------------------------------------------------------------- |
 * | idle       | connecting, at the first `subscribe`                                                  |
 * | connecting | ready, when every channel is confirmed; idle, if none is left; waiting, on any failure |
 * | ready      | waiting, when the connection closes or a heartbeat is not answered: `lost` is told    |
 * | waiting    | connecting, after the delay                                                           |
 * | closed     | nothing                                                                               |
 */
export class IoRedisSubscriber implements RedisSubscriber {
  readonly #parts: SubscriberParts;
  readonly #channels = new Map<string, Channel>();
  readonly #stateListeners = new Set<{ readonly listener: (state: ConnectionState) => void }>();
  #phase: 'idle' | 'connecting' | 'ready' | 'waiting' | 'closed' = 'idle';
  #client: IoRedisConnectionLike | undefined;
  #attempt = 0;
  /** Attempts since the last success. */
  #failures = 0;
  #timer: Timer | undefined;

  constructor(parts: SubscriberParts) {
    this.#parts = parts;
  }

  subscribe(channel: string, listener: Listener): Promise<() => Promise<void>> {
    if (this.#phase === 'closed') return Promise.reject(closedError());
    const box = { listener };
    const known = this.#channels.get(channel);
    const entry: Channel = known ?? { listeners: new Set(), confirmed: false, waiting: [] };
    entry.listeners.add(box);
    if (known === undefined) this.#channels.set(channel, entry);
    const confirmed = entry.confirmed
      ? Promise.resolve()
      : new Promise<void>((resolve, reject) => {
          entry.waiting.push({ resolve, reject });
        });
    if (this.#phase === 'idle') void this.#connect();
    else if (this.#phase === 'ready' && known === undefined) void this.#confirmLate(channel, entry);
    return confirmed.then(() => () => this.#unsubscribe(channel, entry, box));
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    const box = { listener };
    this.#stateListeners.add(box);
    return () => {
      this.#stateListeners.delete(box);
    };
  }

  async close(): Promise<void> {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#parts.clock.clearTimeout(this.#timer);
    this.#client?.disconnect();
    this.#client = undefined;
    for (const entry of this.#channels.values()) settle(entry, closedError());
    this.#channels.clear();
    this.#stateListeners.clear();
    this.#parts.closed();
  }

  async #connect(): Promise<void> {
    this.#phase = 'connecting';
    let client: IoRedisConnectionLike | undefined;
    try {
      client = await this.#parts.open(this.#attempt++);
      if (this.#isClosed()) return client.disconnect();
      this.#client = client;
      this.#listen(client);
      await replyWithin(client.connect(), this.#parts.stallMs, this.#parts.clock, 'connect');
      await this.#confirmAll(client);
      if (client !== this.#client) return;
      if (this.#channels.size === 0) return this.#rest(client);
      this.#phase = 'ready';
      this.#failures = 0;
      this.#tell('ready');
      if (client === this.#client) this.#beat(client);
    } catch {
      this.#lose(client);
    }
  }

  #listen(client: IoRedisConnectionLike): void {
    // Without a listener an 'error' event would be printed or thrown; what follows it is 'close', or a rejection.
    client.on('error', () => {});
    const lose = (): void => this.#lose(client);
    client.on('close', lose);
    client.on('end', lose);
    client.on('message', (channel: string, message: string) => {
      if (client !== this.#client) return;
      const entry = this.#channels.get(channel);
      if (entry === undefined) return;
      for (const { listener } of entry.listeners) listener(message);
    });
  }

  /** Until none is left, because more may be asked for while some are being confirmed. */
  async #confirmAll(client: IoRedisConnectionLike): Promise<void> {
    for (;;) {
      const open = [...this.#channels].filter(([, entry]) => !entry.confirmed);
      if (open.length === 0 || client !== this.#client) return;
      await Promise.all(open.map(([channel, entry]) => this.#confirm(client, channel, entry)));
    }
  }

  async #confirmLate(channel: string, entry: Channel): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    try {
      await this.#confirm(client, channel, entry);
    } catch {
      this.#lose(client);
    }
  }

  async #confirm(client: IoRedisConnectionLike, channel: string, entry: Channel): Promise<void> {
    try {
      await replyWithin(client.subscribe(channel), this.#parts.timeoutMs, this.#parts.clock, 'SUBSCRIBE');
    } catch (error) {
      // A refusal (such as a missing permission) is told to those who asked; only they can do something about it.
      if (!isReplyError(error) || entry.waiting.length === 0) throw error;
      this.#channels.delete(channel);
      settle(entry, error);
      return;
    }
    if (client !== this.#client) return;
    entry.confirmed = true;
    settle(entry);
  }

  async #unsubscribe(channel: string, entry: Channel, box: { readonly listener: Listener }): Promise<void> {
    entry.listeners.delete(box);
    if (entry.listeners.size > 0 || this.#channels.get(channel) !== entry) return;
    this.#channels.delete(channel);
    if (this.#phase !== 'ready' || this.#client === undefined) return;
    // If it fails, the connection is lost and with it the subscription.
    await replyWithin(
      this.#client.unsubscribe(channel),
      this.#parts.timeoutMs,
      this.#parts.clock,
      'UNSUBSCRIBE',
    ).catch(() => {});
  }

  #beat(client: IoRedisConnectionLike): void {
    this.#timer = this.#parts.clock.setTimeout(() => {
      replyWithin(client.call('PING'), heartbeatMs, this.#parts.clock, 'PING').then(
        () => {
          if (client === this.#client) this.#beat(client);
        },
        () => this.#lose(client),
      );
    }, heartbeatMs);
  }

  /** Nobody listens any more, or nobody may: there is nothing to be ready for. */
  #rest(client: IoRedisConnectionLike): void {
    this.#phase = 'idle';
    this.#client = undefined;
    client.disconnect();
  }

  /** @param client - `undefined` if none could be made. Any but the present one was lost before. */
  #lose(client: IoRedisConnectionLike | undefined): void {
    if (client !== this.#client || this.#phase === 'closed' || this.#phase === 'waiting') return;
    const wasReady = this.#phase === 'ready';
    this.#phase = 'waiting';
    this.#client = undefined;
    this.#parts.clock.clearTimeout(this.#timer);
    for (const entry of this.#channels.values()) entry.confirmed = false;
    this.#failures++;
    this.#timer = this.#parts.clock.setTimeout(
      () => void this.#connect(),
      reconnectDelayMs(this.#failures, this.#parts.random),
    );
    client?.disconnect();
    if (wasReady) this.#tell('lost');
  }

  #tell(state: ConnectionState): void {
    for (const { listener } of [...this.#stateListeners]) listener(state);
  }

  #isClosed(): boolean {
    return this.#phase === 'closed';
  }
}

function settle(entry: Channel, error?: unknown): void {
  const waiting = entry.waiting;
  entry.waiting = [];
  for (const { resolve, reject } of waiting) {
    if (error === undefined) resolve();
    else reject(error);
  }
}

function closedError(): RedisUnavailableError {
  return new RedisUnavailableError('SUBSCRIBE', { message: 'the subscriber is closed', sent: false });
}
