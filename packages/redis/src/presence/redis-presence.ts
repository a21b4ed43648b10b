import { ArgumentError, type Clock, newToken, type RedisExecutor } from '@cachekit/core';
import { assertCallOptions } from '../call-options.ts';
import { toJson } from '../json-value.ts';
import { Ear, type WakeUp } from '../wake-up.ts';
import type { HeldPresence, Presence, SeenOptions } from './presence.ts';
import type { OnlineMember, PresenceChange } from './presence-change.ts';
import { entryOf, namesOf, presenceChannel } from './presence-keys.ts';
import { PresenceStore } from './presence-store.ts';
import { type PresenceNews, PresenceWatch } from './presence-watch.ts';
import { ServerLease } from './server-lease.ts';
import { Sweeper } from './sweeper.ts';

/** A tenant is noted again after this part of `ttl`. */
const notedPart = 0.5;
/** Most tenants of which this process remembers when it noted them. */
const mostNoted = 10_000;

const seenOptions = ['device', 'meta'];

/** What presence needs. */
export interface PresenceParts {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  readonly wakeUp: WakeUp;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly leaseMs: number;
}

/** {@link Presence} over an executor. */
export class RedisPresence<M> implements Presence<M> {
  readonly #parts: PresenceParts;
  readonly #store: PresenceStore<M>;
  readonly #sweeper: Sweeper;
  readonly #lease: ServerLease;
  readonly #ear: Ear;
  readonly #listeners = new Set<{ readonly listener: (change: PresenceChange<M>) => void }>();
  readonly #watches = new Set<PresenceWatch<M>>();
  #closed = false;
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
    assertCallOptions('seen', options, seenOptions);
    const entry = entryOf(member, options.device);
    const [came] = await this.#store.beat(tenant, [[entry, metaText(options.meta)]], '');
    await this.#note(tenant, came === true);
    return came === true;
  }

  async leave(tenant: string, member: string, options: { readonly device?: string } = {}): Promise<boolean> {
    assertCallOptions('leave', options, ['device']);
    const { device } = options;
    return this.#leave(tenant, entryOf(member, device), device === undefined);
  }

  async hold(tenant: string, member: string, options: SeenOptions<M> = {}): Promise<HeldPresence<M>> {
    this.#assertOpen();
    assertCallOptions('hold', options, seenOptions);
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
    this.#assertOpen();
    assertListener(listener);
    const box = { listener };
    this.#listeners.add(box);
    this.#sweeper.start();
    return () => {
      this.#listeners.delete(box);
      this.#rest();
    };
  }

  async watch(tenant: string, listener: (news: PresenceNews<M>) => void): Promise<() => void> {
    this.#assertOpen();
    assertListener(listener);
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
    this.#closed = true;
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    const held = await this.#lease.dropAll();
    // What cannot be said now the others say when the lease is over.
    await Promise.allSettled(held.map(([tenant, entry]) => this.#leave(tenant, entry, false)));
    this.#listeners.clear();
    this.#sweeper.stop();
    await this.#ear.close();
  }

  /** What goes on in the background would have nobody to end it. */
  #assertOpen(): void {
    if (this.#closed) throw new ArgumentError('The presence is closed');
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

/** What is no function would fail at the first change, where nobody could catch it. */
function assertListener(listener: unknown): void {
  if (typeof listener !== 'function') throw new ArgumentError('listener: give a function');
}

function metaText(meta: unknown): string {
  return meta === undefined ? '' : toJson(meta, 'meta');
}
