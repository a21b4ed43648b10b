import type { Clock, Duration, RedisExecutor } from '@cachekit/core';
import type { WakeUp } from '../wake-up.ts';
import type { OnlineMember, PresenceChange } from './presence-change.ts';
import type { PresenceNews } from './presence-watch.ts';

/** Options of `createPresence`. */
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
   * Listen in every process that uses presence: what is noted where nobody listens is told to nobody. Any call may note that
   * members have dropped out, those that only look among them; from the first listener or watcher on a process also looks for them
   * by itself.
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
  /**
   * Lets go of all that this process holds, so that they leave at once and not with its lease, and ends what runs. From then
   * on `hold()`, `onChange()` and `watch()` throw ArgumentError `INVALID_ARGUMENT`.
   */
  close(): Promise<void>;
}
