import {
  assertKnownOptions,
  assertNamespace,
  type Clock,
  ConfigurationError,
  type Duration,
  defaultNamespace,
  durationMs,
  newToken,
  type RedisExecutor,
  systemClock,
} from '@cachekit/core';
import { toJson } from '../json-value.ts';
import { assertWakeUp, Ear, type WakeUp } from '../wake-up.ts';
import type { OnlineMember, PresenceChange } from './presence-change.ts';
import { entryOf, namesOf, presenceChannel } from './presence-keys.ts';
import { PresenceStore } from './presence-store.ts';
import { type PresenceNews, PresenceWatch } from './presence-watch.ts';
import { ServerLease } from './server-lease.ts';
import { Sweeper } from './sweeper.ts';

/** Options of {@link createPresence}. */
export interface PresenceOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /** How long a member stays online after it was last seen, such as `"5m"`. */
  readonly ttl: Duration;
  /**
   * How long one who says that it leaves, or whose process is gone, stays online; whoever comes back within it was
   * never away. For pages that are left and opened again.
   *
   * @defaultValue 0
   */
  readonly grace?: Duration;
  /**
   * How long after the last sign of life of a process its members stay, those of `hold()`.
   *
   * @defaultValue 10 seconds
   */
  readonly lease?: Duration;
  /**
   * How `watch()` learns of changes.
   *
   * @defaultValue `'pubsub'`
   */
  readonly wakeUp?: WakeUp;
  readonly clock?: Clock;
  /** @defaultValue `Math.random` */
  readonly random?: () => number;
}

/** What is said about a member when it is seen. */
export interface SeenOptions<M> {
  /** A member may be online with several; it is away when the last has gone. */
  readonly device?: string;
  /** Anything that JSON can hold; what was said before stays if it is left out. */
  readonly meta?: M;
}

/** A member that is online for as long as this process says so. */
export interface HeldPresence<M> {
  readonly member: string;
  readonly device: string;
  /** Says something else about it. */
  update(meta: M): Promise<void>;
  /** Lets it go. @returns Whether it was here. */
  leave(): Promise<boolean>;
}

/** Who of a tenant is online. Every method rejects within the timeout of the executor if Redis does not answer. */
export interface Presence<M = unknown> {
  /**
   * Notes that the member is here.
   *
   * @returns Whether it was away before.
   */
  seen(tenant: string, member: string, options?: SeenOptions<M>): Promise<boolean>;
  /**
   * Notes that the member has gone: one of its devices, or all of them.
   *
   * @returns Whether it was here.
   */
  leave(tenant: string, member: string, options?: { readonly device?: string }): Promise<boolean>;
  /**
   * Keeps the member online until `leave()` of what is returned, or until this process is gone: for an open connection.
   * Nothing has to be seen; one command says for all of them that the process lives.
   *
   * @param options - Give each connection a `device` of its own, or none: one is made up.
   */
  hold(tenant: string, member: string, options?: SeenOptions<M>): Promise<HeldPresence<M>>;
  /** The members that are online, the one seen longest ago first. */
  online(tenant: string): Promise<readonly string[]>;
  /** How many are online. It does not depend on how many they are. */
  count(tenant: string): Promise<{ readonly members: number; readonly devices: number }>;
  /** Everybody who is online with what is said about them, as of one version. */
  snapshot(
    tenant: string,
  ): Promise<{ readonly version: number; readonly members: readonly OnlineMember<M>[] }>;
  /**
   * Tells of each change in exactly one of all processes: the one that noted it. For what is to be done once, such as a
   * row or a notification. A process that dies in that moment tells nobody.
   *
   * From the first call on this process looks for members that drop out, so at least one process should listen.
   *
   * @returns The function that ends it.
   */
  onChange(listener: (change: PresenceChange<M>) => void): () => void;
  /**
   * Follows a tenant in this process, whoever changes it: everybody at first, then the changes, in order and none
   * twice; everybody again when any may have been missed.
   *
   * @returns The function that ends it, when the first snapshot has been told.
   */
  watch(tenant: string, listener: (news: PresenceNews<M>) => void): Promise<() => void>;
  /** Lets go of all that this process holds, so that they leave at once and not with its lease, and ends what runs. */
  close(): Promise<void>;
}

/** A tenant is noted again after this part of `ttl`. */
const notedPart = 0.5;
/** Most tenants of which this process remembers when it noted them. */
const mostNoted = 10_000;

/**
 * Keeps who is online in Redis, one sorted set per tenant.
 *
 * - Each member drops out by itself `ttl` after it was last seen, also while others of the tenant stay. Time is the
 *   server's. Lists and counts are right whether or not anybody sweeps.
 * - **Joins and leaves are told once**, with the reason of a leave, at the latest a second after it; see
 *   {@link Presence.onChange} and {@link Presence.watch}.
 * - A member may have several **devices**, and something may be said about each.
 * - A process **holds** the members of its connections with one command for all, and they leave soon after it dies.
 *
 * A tenant without anybody costs nothing: what is stored expires with its last member.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @throws UnsupportedByClientError `UNSUPPORTED_BY_CLIENT` if `wakeUp` is `pubsub` and the client cannot subscribe.
 * @example
 * const presence = createPresence({ redis, ttl: '5m' });
 * await presence.seen('user-1', 'phone-7');
 * await presence.online('user-1'); // ['phone-7']
 * presence.onChange(({ type, member }) => console.log(type, member)); // 'leave phone-7', five minutes later
 * await presence.close();
 */
export function createPresence<M = unknown>(options: PresenceOptions): Presence<M> {
  assertKnownOptions('createPresence', options, [
    'redis',
    'namespace',
    'ttl',
    'grace',
    'lease',
    'wakeUp',
    'clock',
    'random',
  ]);
  const { redis, namespace = defaultNamespace, wakeUp = 'pubsub', clock = systemClock } = options;
  assertNamespace(namespace);
  assertWakeUp(wakeUp, redis, 'presence');
  return new RedisPresence<M>({
    redis,
    namespace,
    wakeUp,
    clock,
    random: options.random ?? (() => Math.random()),
    ttlMs: spanMs(options.ttl, 'ttl', 1),
    graceMs: spanMs(options.grace ?? 0, 'grace', 0),
    leaseMs: spanMs(options.lease ?? 10_000, 'lease', 100),
  });
}

/** The longest timer of JavaScript. */
const longestMs = 2 ** 31 - 1;

function spanMs(duration: Duration, name: string, leastMs: number): number {
  const ms = Math.ceil(durationMs(duration, name));
  if (ms >= leastMs && ms <= longestMs) return ms;
  throw new ConfigurationError(`${name}: give ${leastMs} ms to 24 days`);
}

interface PresenceParts {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  readonly wakeUp: WakeUp;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly leaseMs: number;
}

class RedisPresence<M> implements Presence<M> {
  readonly #parts: PresenceParts;
  readonly #store: PresenceStore<M>;
  readonly #sweeper: Sweeper;
  readonly #lease: ServerLease;
  readonly #ear: Ear;
  readonly #listeners = new Set<{ readonly listener: (change: PresenceChange<M>) => void }>();
  readonly #watches = new Set<PresenceWatch<M>>();
  /** When each tenant was last noted by this process, the one noted longest ago first. */
  readonly #noted = new Map<string, number>();

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#ear = new Ear(parts.redis);
    this.#store = new PresenceStore<M>({
      ...parts,
      published: parts.wakeUp === 'pubsub',
      changed: (changes) => this.#tell(changes),
    });
    const store = this.#store;
    this.#sweeper = new Sweeper({ ...parts, store });
    this.#lease = new ServerLease({ ...parts, store });
  }

  async seen(tenant: string, member: string, options: SeenOptions<M> = {}): Promise<boolean> {
    const entry = entryOf(member, options.device);
    const [came] = await this.#store.beat(tenant, [[entry, metaText(options.meta)]], '');
    await this.#note(tenant, came === true);
    return came === true;
  }

  async leave(tenant: string, member: string, options: { readonly device?: string } = {}): Promise<boolean> {
    const { device } = options;
    return this.#leave(tenant, entryOf(member, device), device === undefined);
  }

  async hold(tenant: string, member: string, options: SeenOptions<M> = {}): Promise<HeldPresence<M>> {
    const { device = newToken(this.#parts.random) } = options;
    const entry = entryOf(member, device);
    await this.#lease.hold(tenant, [entry, metaText(options.meta)]);
    await this.#note(tenant, true);
    return {
      member,
      device,
      update: (meta) => this.#lease.update(tenant, [entry, metaText(meta)]),
      leave: async () => (this.#lease.drop(tenant, entry) ? this.#leave(tenant, entry, false) : false),
    };
  }

  async online(tenant: string): Promise<readonly string[]> {
    return [...new Set((await this.#store.online(tenant)).map((entry) => namesOf(entry).member))];
  }

  async count(tenant: string): Promise<{ readonly members: number; readonly devices: number }> {
    const { members, devices } = await this.#store.sweep(tenant, '');
    return { members, devices };
  }

  snapshot(
    tenant: string,
  ): Promise<{ readonly version: number; readonly members: readonly OnlineMember<M>[] }> {
    return this.#store.snapshot(tenant);
  }

  onChange(listener: (change: PresenceChange<M>) => void): () => void {
    const box = { listener };
    this.#listeners.add(box);
    this.#sweeper.start();
    return () => {
      this.#listeners.delete(box);
      this.#rest();
    };
  }

  async watch(tenant: string, listener: (news: PresenceNews<M>) => void): Promise<() => void> {
    const { namespace, clock, wakeUp } = this.#parts;
    const channel = presenceChannel(namespace, tenant);
    const watch = new PresenceWatch<M>({
      tenant,
      store: this.#store,
      clock,
      listener,
      subscription: wakeUp === 'pubsub' ? { subscriber: this.#ear.subscriber, channel } : undefined,
    });
    this.#watches.add(watch);
    this.#sweeper.start();
    const end = (): void => {
      watch.close();
      this.#watches.delete(watch);
      this.#rest();
    };
    try {
      await watch.start();
    } catch (error) {
      end();
      throw error;
    }
    return end;
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    const held = this.#lease.dropAll();
    // What cannot be said now the others say when the lease is over.
    await Promise.allSettled(held.map(([tenant, entry]) => this.#leave(tenant, entry, false)));
    this.#listeners.clear();
    this.#sweeper.stop();
    await this.#ear.close();
  }

  async #leave(tenant: string, entry: string, whole: boolean): Promise<boolean> {
    const here = await this.#store.leave(tenant, entry, whole);
    // It drops out earlier than was noted.
    if (here && this.#parts.graceMs > 0) await this.#store.due(tenant, this.#parts.graceMs);
    return here;
  }

  /** Sees to it that somebody looks at the tenant when its members drop out. */
  async #note(tenant: string, came: boolean): Promise<void> {
    const { clock, ttlMs } = this.#parts;
    const now = clock.now();
    const before = this.#noted.get(tenant);
    if (!came && before !== undefined && Math.abs(now - before) < ttlMs * notedPart) return;
    this.#noted.delete(tenant);
    this.#noted.set(tenant, now);
    if (this.#noted.size > mostNoted) {
      const [oldest] = this.#noted.keys();
      this.#noted.delete(oldest as string);
    }
    await this.#store.due(tenant, ttlMs);
  }

  #tell(changes: readonly PresenceChange<M>[]): void {
    for (const change of changes) {
      for (const { listener } of [...this.#listeners]) {
        try {
          listener(change);
        } catch (error) {
          // What was changed is changed: the call that did it does not fail for the listener.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }

  #rest(): void {
    if (this.#listeners.size === 0 && this.#watches.size === 0) this.#sweeper.stop();
  }
}

function metaText(meta: unknown): string {
  return meta === undefined ? '' : toJson(meta, 'meta');
}
