import { type Clock, newToken, type RedisExecutor, type Timer } from '@cachekit/core';
import { runScript } from '../script.ts';
import { presenceLeaseScript } from '../scripts/presence-lease.ts';
import { heldKey, serversKey } from './presence-keys.ts';
import type { Beat, PresenceStore } from './presence-store.ts';

/** What a lease needs. */
export interface ServerLeaseParts {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly leaseMs: number;
  readonly random: () => number;
  readonly store: Pick<PresenceStore<unknown>, 'beat' | 'leave'>;
}

/** The list of tenants outlives the lease by that, so that whoever finds the process dead still finds it. */
const listedMs = 86_400_000;

/**
 * The members that this process holds, such as its open connections.
 *
 * One command says for all of them that the process lives; each tenant gets one script call per third of `ttl`. When the
 * process dies, the others let its members leave as soon as its lease is over.
 */
export class ServerLease {
  readonly #parts: ServerLeaseParts;
  /** Metadata by entry, by tenant. */
  readonly #held = new Map<string, Map<string, string>>();
  #timer: Timer | undefined;
  #ticks = 0;
  #closed = false;
  #leased = false;
  /** Name of this process, for as long as nobody takes it for dead. */
  #server: string;

  constructor(parts: ServerLeaseParts) {
    this.#parts = parts;
    this.#server = newToken(parts.random);
  }

  async hold(tenant: string, beat: Beat): Promise<void> {
    const { store } = this.#parts;
    const [entry, meta] = beat;
    const entries = this.#held.get(tenant) ?? new Map<string, string>();
    this.#held.set(tenant, entries.set(entry, meta));
    try {
      if (this.#timer === undefined) {
        this.#next();
        await this.#sayAlive();
      }
      await this.#list(tenant);
      await store.beat(tenant, [beat], this.#server);
    } catch (error) {
      // Whoever asked is told that it is not held.
      this.drop(tenant, entry);
      throw error;
    }
  }

  /** Says something else about what is held. */
  async update(tenant: string, [entry, meta]: Beat): Promise<void> {
    const entries = this.#held.get(tenant);
    if (!entries?.has(entry)) return;
    entries.set(entry, meta);
    await this.#parts.store.beat(tenant, [[entry, meta]], this.#server);
  }

  /** @returns Whether it was held. */
  drop(tenant: string, entry: string): boolean {
    const entries = this.#held.get(tenant);
    const held = entries?.delete(entry) ?? false;
    if (entries?.size === 0) this.#held.delete(tenant);
    return held;
  }

  get #tickMs(): number {
    return Math.min(this.#parts.leaseMs, this.#parts.ttlMs) / 3;
  }

  /** Everything that is held; nothing is from now on. */
  dropAll(): readonly (readonly [tenant: string, entry: string])[] {
    this.#closed = true;
    this.#parts.clock.clearTimeout(this.#timer);
    const all = [...this.#held].flatMap(([tenant, entries]) =>
      [...entries.keys()].map((entry) => [tenant, entry] as const),
    );
    this.#held.clear();
    return all;
  }

  #next(): void {
    const { clock } = this.#parts;
    this.#timer = clock.setTimeout(() => {
      // What fails now is done by the next; if none succeeds, the others take this process for dead.
      this.#renew()
        .catch(() => {})
        .finally(() => {
          if (!this.#closed) this.#next();
        });
    }, this.#tickMs);
  }

  async #renew(): Promise<void> {
    const { ttlMs, store } = this.#parts;
    const takenForDead = await this.#sayAlive();
    this.#ticks += 1;
    if (!takenForDead && this.#ticks * this.#tickMs < ttlMs / 3) return;
    this.#ticks = 0;
    for (const [tenant, entries] of [...this.#held]) {
      await this.#list(tenant);
      const beats = [...entries];
      await store.beat(tenant, beats, this.#server);
      // One that was let go meanwhile may have been brought back.
      for (const [entry] of beats) if (!entries.has(entry)) await store.leave(tenant, entry, false);
    }
  }

  /** @returns Whether the others have taken this process for dead meanwhile. */
  async #sayAlive(): Promise<boolean> {
    const { redis, namespace, leaseMs, random } = this.#parts;
    const key = serversKey(namespace);
    const isNew = (await runScript(redis, presenceLeaseScript, [key], [this.#server, leaseMs])) === 1;
    const takenForDead = isNew && this.#leased;
    this.#leased = true;
    if (takenForDead) {
      // Under the old name somebody may be about to let its members leave.
      await redis.command('ZREM', key, this.#server);
      this.#server = newToken(random);
      await runScript(redis, presenceLeaseScript, [key], [this.#server, leaseMs]);
    }
    return takenForDead;
  }

  /** Where those look who find this process dead; before anybody is there. */
  async #list(tenant: string): Promise<void> {
    const { redis, namespace } = this.#parts;
    const held = heldKey(namespace, this.#server);
    await redis.command('SADD', held, tenant);
    await redis.command('PEXPIRE', held, listedMs);
  }
}
