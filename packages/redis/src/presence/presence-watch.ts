import type { Clock, RedisSubscriber, Timer } from '@cachekit/core';
import { type OnlineMember, type PresenceChange, readChanges } from './presence-change.ts';
import type { PresenceStore } from './presence-store.ts';

/** What a watcher is told: everybody, at first and whenever changes may have been missed, and what changed since. */
export type PresenceNews<M = unknown> =
  | { readonly type: 'snapshot'; readonly version: number; readonly members: readonly OnlineMember<M>[] }
  | { readonly type: 'changes'; readonly version: number; readonly changes: readonly PresenceChange<M>[] };

/** What a watch needs. */
export interface PresenceWatchParts<M> {
  readonly tenant: string;
  readonly store: PresenceStore<M>;
  readonly clock: Clock;
  readonly listener: (news: PresenceNews<M>) => void;
  /** Absent if there is nothing to subscribe to. */
  readonly subscription: { readonly subscriber: RedisSubscriber; readonly channel: string } | undefined;
}

/** How often the version is compared, with and without a subscription. */
const compareEveryMs = 2_000;
const pollEveryMs = 1_000;

/**
 * Follows one tenant: a snapshot, then the changes by their version.
 *
 * A hole between two versions, a version that is heard twice, a subscription that was lost, or a version that was not
 * heard of leads to another snapshot, so what the listener knows is right again within two seconds whatever was missed.
 */
export class PresenceWatch<M> {
  readonly #parts: PresenceWatchParts<M>;
  /** Absent until a snapshot has come. */
  #version: number | undefined;
  /** The last version of the last message. */
  #heard = 0;
  #reading = false;
  #readAgain = false;
  #closed = false;
  #early: (readonly PresenceChange<M>[])[] = [];
  #timer: Timer | undefined;
  #end: () => void = () => {};

  constructor(parts: PresenceWatchParts<M>) {
    this.#parts = parts;
  }

  /** Resolves when the first snapshot has been told. */
  async start(): Promise<void> {
    const { subscription, tenant } = this.#parts;
    if (subscription !== undefined) {
      const { subscriber, channel } = subscription;
      let lost = false;
      const forget = subscriber.onState((state) => {
        if (state === 'ready' && lost) this.#reread();
        lost = state === 'lost';
      });
      const subscribed = subscriber.subscribe(channel, (text) => this.#receive(readChanges<M>(tenant, text)));
      this.#end = () => {
        forget();
        subscribed.then((unsubscribe) => unsubscribe()).catch(() => {});
      };
      await subscribed;
    }
    await this.#read();
    this.#compareLater();
  }

  close(): void {
    this.#closed = true;
    this.#parts.clock.clearTimeout(this.#timer);
    this.#end();
  }

  #receive(changes: readonly PresenceChange<M>[]): void {
    const [first] = changes;
    if (this.#closed || first === undefined) return;
    // Messages come in order: a server that lost changes, by a failover, numbers others as it did those.
    const numberedAgain = first.version <= this.#heard;
    this.#heard = (changes.at(-1) as PresenceChange<M>).version;
    if (numberedAgain) this.#reread();
    else this.#hear(changes);
  }

  #hear(changes: readonly PresenceChange<M>[]): void {
    if (this.#closed) return;
    if (this.#reading || this.#version === undefined) {
      this.#early.push(changes);
      return;
    }
    const last = (changes.at(-1) as PresenceChange<M>).version;
    if (last <= this.#version) return;
    if ((changes[0] as PresenceChange<M>).version !== this.#version + 1) {
      this.#reread();
      return;
    }
    this.#version = last;
    this.#parts.listener({ type: 'changes', version: last, changes });
  }

  #reread(): void {
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    this.#read().catch(() => {
      // The next comparison makes up for it, whatever the version is then.
      this.#version = undefined;
    });
  }

  async #read(): Promise<void> {
    this.#reading = true;
    try {
      do {
        this.#readAgain = false;
        const { version, members } = await this.#parts.store.snapshot(this.#parts.tenant);
        if (this.#closed) return;
        this.#version = version;
        this.#parts.listener({ type: 'snapshot', version, members });
      } while (this.#readAgain);
    } finally {
      this.#reading = false;
    }
    for (const changes of this.#early.splice(0)) this.#hear(changes);
  }

  #compareLater(): void {
    const { clock, subscription } = this.#parts;
    if (this.#closed) return;
    this.#timer = clock.setTimeout(
      () => {
        this.#compare()
          .catch(() => {})
          .finally(() => this.#compareLater());
      },
      subscription === undefined ? pollEveryMs : compareEveryMs,
    );
  }

  async #compare(): Promise<void> {
    const before = this.#version;
    const version = await this.#parts.store.version(this.#parts.tenant);
    // A message may have come meanwhile.
    if (version !== before && this.#version === before) this.#reread();
  }
}
