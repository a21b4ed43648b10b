import type { Clock, RedisTracker, RedisTrackingListener, Timer } from '@cachekit/core';
import type { IoRedisConnectionLike } from './ioredis-like.ts';
import { reconnectDelayMs } from './reconnect-delay.ts';
import { isReplyError } from './reply-error.ts';
import { replyWithin } from './reply-within.ts';

/** The connections that hear all changes together: one for each master. */
export interface TrackedServers {
  /** None is connected yet, and none comes back by itself. */
  readonly connections: readonly IoRedisConnectionLike[];
  /** Whether these are all the masters there are now. */
  current(): boolean;
}

/** What a tracker needs of its executor. */
export interface TrackerParts {
  readonly prefix: string;
  readonly open: () => Promise<TrackedServers>;
  readonly timeoutMs: number;
  /** A connection that is not ready after this long is given up. */
  readonly stallMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly closed: () => void;
}

const channel = '__redis__:invalidate';
/** How often the servers are asked for a sign of life, and how long they may take to give one. */
const heartbeatMs = 1_000;
/** What a server replies that is not itself yet, or no longer. */
const passing = /^(LOADING|MASTERDOWN|CLUSTERDOWN|READONLY|BUSY|TRYAGAIN|NOREPLICAS)/;

/**
 * Each connection tracks for itself: it asks its server to send the changes of all clients to its own id, in the old
 * protocol, where they come as messages of a channel.
 *
 * | state   | next                                                                                          |
 * | ------- | --------------------------------------------------------------------------------------------- |
 * | idle    | arming, when started                                                                          |
 * | arming  | ready, when every master has confirmed; refused, if one does not allow it; else waiting       |
 * | ready   | waiting, when a connection closes, a heartbeat is not answered, or the masters are others now |
 * | waiting | arming, after the delay                                                                       |
 * | refused | nothing                                                                                       |
 * | closed  | nothing                                                                                       |
 */
export class IoRedisTracker implements RedisTracker {
  readonly #parts: TrackerParts;
  #listener: RedisTrackingListener | undefined;
  #phase: 'idle' | 'arming' | 'ready' | 'waiting' | 'refused' | 'closed' = 'idle';
  /** Connections of an earlier round have no say any more. */
  #round = 0;
  #servers: TrackedServers | undefined;
  /** Attempts since the last success. */
  #failures = 0;
  #timer: Timer | undefined;

  constructor(parts: TrackerParts) {
    this.#parts = parts;
  }

  start(listener: RedisTrackingListener): void {
    if (this.#phase !== 'idle') return;
    this.#listener = listener;
    void this.#arm();
  }

  async close(): Promise<void> {
    if (this.#phase === 'closed') return;
    this.#end('closed');
    this.#parts.closed();
  }

  /** Begins anew, because what was connected may no longer be what commands go to. */
  rearm(): void {
    if (this.#phase === 'ready') this.#lose(this.#round);
  }

  /** Begins anew if the masters are others now. */
  check(): void {
    if (this.#servers?.current() === false) this.rearm();
  }

  async #arm(): Promise<void> {
    this.#phase = 'arming';
    const round = ++this.#round;
    try {
      const servers = await this.#parts.open();
      if (round !== this.#round) return drop(servers);
      this.#servers = servers;
      await Promise.all(servers.connections.map((client) => this.#track(client, round)));
      if (round !== this.#round) return;
      if (!servers.current()) return this.#lose(round);
      this.#phase = 'ready';
      this.#failures = 0;
      this.#listener?.ready();
      this.#beat(servers, round);
    } catch (error) {
      if (round !== this.#round) return;
      if (!isReplyError(error) || passing.test(error.message)) return this.#lose(round);
      this.#end('refused');
      this.#listener?.refused(error);
    }
  }

  async #track(client: IoRedisConnectionLike, round: number): Promise<void> {
    // Without a listener an 'error' event would be printed or thrown; what follows it is 'close', or a rejection.
    client.on('error', () => {});
    client.on('close', () => this.#lose(round));
    client.on('end', () => this.#lose(round));
    client.on('messageBuffer', (_channel: unknown, keys: unknown) => {
      if (round === this.#round) this.#hear(keys);
    });
    await replyWithin(client.connect(), this.#parts.stallMs, this.#parts.clock, 'connect');
    const id = await this.#ask(client, 'CLIENT', 'ID');
    const { prefix } = this.#parts;
    await this.#ask(client, 'CLIENT', 'TRACKING', 'ON', 'REDIRECT', Number(id), 'BCAST', 'PREFIX', prefix);
    await replyWithin(client.subscribe(channel), this.#parts.timeoutMs, this.#parts.clock, 'SUBSCRIBE');
  }

  /** Nothing stands for every key. */
  #hear(keys: unknown): void {
    if (Array.isArray(keys)) this.#listener?.changed(keys.map(String));
    else this.#listener?.flushed();
  }

  #beat(servers: TrackedServers, round: number): void {
    this.#timer = this.#parts.clock.setTimeout(() => {
      const signs = servers.connections.map((client) =>
        replyWithin(client.call('PING'), heartbeatMs, this.#parts.clock, 'PING'),
      );
      Promise.all(signs).then(
        () => {
          if (round !== this.#round) return;
          if (servers.current()) this.#beat(servers, round);
          else this.#lose(round);
        },
        () => this.#lose(round),
      );
    }, heartbeatMs);
  }

  #lose(round: number): void {
    if (round !== this.#round) return;
    const wasReady = this.#phase === 'ready';
    this.#end('waiting');
    this.#failures++;
    this.#timer = this.#parts.clock.setTimeout(
      () => void this.#arm(),
      reconnectDelayMs(this.#failures, this.#parts.random),
    );
    if (wasReady) this.#listener?.lost();
  }

  #end(phase: 'waiting' | 'refused' | 'closed'): void {
    this.#phase = phase;
    this.#round++;
    this.#parts.clock.clearTimeout(this.#timer);
    if (this.#servers !== undefined) drop(this.#servers);
    this.#servers = undefined;
  }

  #ask(client: IoRedisConnectionLike, name: string, ...args: (string | number)[]): Promise<unknown> {
    return replyWithin(client.call(name, ...args), this.#parts.timeoutMs, this.#parts.clock, name);
  }
}

function drop(servers: TrackedServers): void {
  for (const client of servers.connections) client.disconnect();
}
