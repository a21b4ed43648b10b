import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  type RedisArgument,
  type RedisCapabilities,
  type RedisExecutor,
  type RedisScript,
  type RedisSubscriber,
  type RedisTracker,
  systemClock,
} from '@cachekit/core';
import { RedisUnavailableError } from '../errors.ts';
import { prefixPattern } from '../scan.ts';
import { digestOf, knownDigest } from '../script.ts';
import { allMasters } from './all-masters.ts';
import { type Call, CallsUnderWay, newCall } from './calls-under-way.ts';
import { commandTimeoutMs } from './command-timeout.ts';
import { Connection } from './connection.ts';
import { clusterOptions, commandOptions, stallMs, subscriberOptions } from './connection-options.ts';
import { heardAsking } from './heard-asking.ts';
import type { IoRedisConnectionLike, IoRedisLike } from './ioredis-like.ts';
import { IoRedisSubscriber } from './ioredis-subscriber.ts';
import { IoRedisTracker, type TrackedServers } from './ioredis-tracker.ts';
import { isReplyError } from './reply-error.ts';

/** Options of {@link ioredisExecutor}. */
export interface IoRedisExecutorOptions {
  /**
   * The longest a call may take, the wait for a connection included.
   *
   * @defaultValue 250 ms
   */
  readonly commandTimeout?: Duration;
}

/**
 * Runs CacheKit's commands on the Redis of an ioredis client: `Redis` (standalone, Sentinel) or `Cluster`, 5 or 6.
 *
 * The client is a pattern only. Nothing connects before the first call; then one connection for commands is opened
 * with the address, credentials, TLS and database of `client`, and one for subscriptions when something subscribes.
 * Build the client with `lazyConnect: true` if you use it for nothing else, and it opens none itself. One executor can
 * serve everything in a process; pass it around.
 *
 * - A call settles within `commandTimeout`, whatever the retries and queues of the client are set to.
 * - While there is no connection, calls wait for one until `commandTimeout` after the loss; from then on they are
 *   rejected at once, and the connection is tried again every second until it is back.
 * - A call rejected with `sent: false` was never sent and never will be. After `sent: true` the server may still carry
 *   it out.
 * - Errors that Redis replies pass unchanged.
 *
 * @param client - May be connected or not; it is neither used nor closed.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no client of ioredis, if it has a `keyPrefix` (use
 * `namespace` instead: scripts and channels cannot see the prefix), or for a wrong option.
 * @example
 * const redis = ioredisExecutor(new Redis(process.env.REDIS_URL ?? '', { lazyConnect: true }));
 * const cache = createCache({ remote: redisTier({ redis }) });
 */
export function ioredisExecutor(client: IoRedisLike, options: IoRedisExecutorOptions = {}): RedisExecutor {
  assertKnownOptions('ioredisExecutor', options, ['commandTimeout']);
  const timeoutMs = commandTimeoutMs(options.commandTimeout ?? 250);
  if (typeof client?.isCluster !== 'boolean' || typeof client.duplicate !== 'function') {
    throw new ConfigurationError(
      'ioredisExecutor: give a client of ioredis, 5 or 6: new Redis() or new Cluster()',
    );
  }
  if (client.options.keyPrefix) {
    throw new ConfigurationError(
      'ioredisExecutor: the client has a keyPrefix, which scripts and channels do not see; give the namespace option of CacheKit instead',
    );
  }
  return new IoRedisExecutor(client, timeoutMs, systemClock, Math.random);
}

class IoRedisExecutor implements RedisExecutor {
  readonly capabilities: RedisCapabilities;
  readonly #pattern: IoRedisLike;
  readonly timeoutMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #connection: Connection;
  readonly #calls: CallsUnderWay;
  readonly #subscribers = new Set<IoRedisSubscriber>();
  readonly #trackers = new Set<IoRedisTracker>();
  /** Cluster clients that say when they have learned of other nodes. */
  readonly #watched = new WeakSet<IoRedisConnectionLike>();

  constructor(pattern: IoRedisLike, timeoutMs: number, clock: Clock, random: () => number) {
    this.capabilities = { cluster: pattern.isCluster, subscribe: true, tracking: true };
    this.#pattern = pattern;
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#random = random;
    const open = pattern.isCluster
      ? () =>
          heardAsking(pattern.duplicate([], clusterOptions(timeoutMs, random, pattern.options.redisOptions)))
      : () => pattern.duplicate(commandOptions(timeoutMs, random));
    this.#connection = new Connection(open, timeoutMs, clock);
    this.#calls = new CallsUnderWay(timeoutMs, clock, () => this.#connection.lastError);
  }

  command(name: string, ...args: RedisArgument[]): Promise<unknown> {
    const call = newCall(name);
    return this.#calls.reply(this.#send(name, args, call), call);
  }

  commandOnMasters(name: string, ...args: RedisArgument[]): Promise<readonly unknown[]> {
    const call = newCall(name);
    return this.#calls.reply(this.#writeToAll(name, args, call), call) as Promise<readonly unknown[]>;
  }

  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    const call = newCall(script.name);
    return this.#calls.reply(this.#evaluate(script, keys, args, call), call);
  }

  async *scan(prefix: string): AsyncGenerator<readonly string[], void, void> {
    const pattern = prefixPattern(prefix);
    const client = await this.#connection.whenReady();
    for (const node of await this.#everyServer(client)) {
      let cursor = '0';
      do {
        const call = newCall('SCAN');
        const page = this.#write(node, call, 'SCAN', [cursor, 'MATCH', pattern, 'COUNT', 512]);
        const reply = await this.#calls.reply(page, call);
        const [next, keys] = reply as [string, string[]];
        cursor = next;
        if (keys.length > 0) yield keys;
      } while (cursor !== '0');
    }
  }

  subscriber(): RedisSubscriber {
    const subscriber = new IoRedisSubscriber({
      open: (attempt) => this.#openSubscriber(attempt),
      timeoutMs: this.timeoutMs,
      stallMs: stallMs(this.timeoutMs),
      clock: this.#clock,
      random: this.#random,
      closed: () => this.#subscribers.delete(subscriber),
    });
    this.#subscribers.add(subscriber);
    return subscriber;
  }

  tracker(prefix: string): RedisTracker {
    const tracker = new IoRedisTracker({
      prefix,
      open: () => this.#openTracked(),
      timeoutMs: this.timeoutMs,
      stallMs: stallMs(this.timeoutMs),
      clock: this.#clock,
      random: this.#random,
      closed: () => {
        this.#trackers.delete(tracker);
        forget();
      },
    });
    // Where commands go next may be another server than the one that tells of changes.
    const forget = this.#connection.onLoss(() => tracker.rearm());
    this.#trackers.add(tracker);
    return tracker;
  }

  async close(): Promise<void> {
    this.#connection.close();
    await Promise.all([...this.#subscribers, ...this.#trackers].map((listener) => listener.close()));
  }

  async #everyServer(client: IoRedisConnectionLike): Promise<readonly IoRedisConnectionLike[]> {
    if (!this.#pattern.isCluster) return [client];
    const call = newCall('CLUSTER SLOTS');
    return (await this.#calls.reply(allMasters(client), call)) as readonly IoRedisConnectionLike[];
  }

  #send(name: string, args: RedisArgument[], call: Call): Promise<unknown> {
    const { ready } = this.#connection;
    // In capitals, because ioredis reshapes the replies of names it knows in small letters.
    if (ready !== undefined) return this.#write(ready, call, name.toUpperCase(), args);
    return this.#connection.whenReady().then((client) => this.#write(client, call, name.toUpperCase(), args));
  }

  async #writeToAll(name: string, args: RedisArgument[], call: Call): Promise<readonly unknown[]> {
    const servers = await this.#everyServer(await this.#connection.whenReady());
    return Promise.all(servers.map((server) => this.#write(server, call, name.toUpperCase(), args)));
  }

  #evaluate(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
    call: Call,
  ): Promise<unknown> {
    const digest = knownDigest(script);
    const rest = [keys.length, ...keys, ...args];
    const sent =
      digest === undefined
        ? digestOf(script).then((computed) => this.#send('EVALSHA', [computed, ...rest], call))
        : this.#send('EVALSHA', [digest, ...rest], call);
    return sent.catch((error) => {
      if (!isNoScript(error)) throw error;
      return this.#send('EVAL', [script.lua, ...rest], call);
    });
  }

  #write(client: IoRedisConnectionLike, call: Call, name: string, args: RedisArgument[]): Promise<unknown> {
    // Whoever asked has been told that it failed; nobody expects it to happen any more.
    if (call.over) return Promise.resolve();
    call.sent = true;
    return client.call(name, ...args);
  }

  /** It is given up before a Sentinel that does not answer is passed over; so each begins with any of them. */
  #listening(): IoRedisConnectionLike {
    const options = subscriberOptions(this.timeoutMs);
    const { sentinels } = this.#pattern.options;
    if (!sentinels) return this.#pattern.duplicate(options);
    const first = Math.floor(this.#random() * sentinels.length);
    const turned = [...sentinels.slice(first), ...sentinels.slice(0, first)];
    return this.#pattern.duplicate({ ...options, sentinels: turned });
  }

  /** On a cluster every master tells of its own keys only. */
  async #openTracked(): Promise<TrackedServers> {
    if (!this.#pattern.isCluster) {
      return { connections: [this.#listening()], current: () => true };
    }
    const cluster = await this.#connection.whenReady();
    this.#watch(cluster);
    const masters = mastersOf(cluster);
    if (masters.size === 0) {
      throw new RedisUnavailableError('CLIENT TRACKING', { message: 'no node is known', sent: false });
    }
    return {
      connections: [...masters].map((node) => node.duplicate(subscriberOptions(this.timeoutMs))),
      current: () => cluster === this.#connection.ready && sameNodes(masters, mastersOf(cluster)),
    };
  }

  #watch(cluster: IoRedisConnectionLike): void {
    if (this.#watched.has(cluster)) return;
    this.#watched.add(cluster);
    const check = (): void => {
      for (const tracker of this.#trackers) tracker.check();
    };
    cluster.on('refresh', check);
    cluster.on('-node', check);
    cluster.on('+node', check);
  }

  /** On a cluster every node hears what is published on any; another one is taken at each attempt. */
  async #openSubscriber(attempt: number): Promise<IoRedisConnectionLike> {
    if (!this.#pattern.isCluster) return this.#listening();
    const cluster = await this.#connection.whenReady();
    const nodes = cluster.nodes?.('master') ?? [];
    const node = nodes[attempt % nodes.length];
    if (node === undefined)
      throw new RedisUnavailableError('SUBSCRIBE', { message: 'no node is known', sent: false });
    return node.duplicate(subscriberOptions(this.timeoutMs));
  }
}

function mastersOf(cluster: IoRedisConnectionLike): ReadonlySet<IoRedisConnectionLike> {
  return new Set(cluster.nodes?.('master'));
}

function sameNodes(
  some: ReadonlySet<IoRedisConnectionLike>,
  others: ReadonlySet<IoRedisConnectionLike>,
): boolean {
  return some.size === others.size && [...some].every((node) => others.has(node));
}

function isNoScript(error: unknown): boolean {
  return isReplyError(error) && error.message.startsWith('NOSCRIPT');
}
