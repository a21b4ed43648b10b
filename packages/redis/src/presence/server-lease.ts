import { type Clock, newToken, type RedisExecutor, type Timer } from '@cachekit/core';
import { runScript } from '../script.ts';
import { presenceHeldScript } from '../scripts/presence-held.ts';
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

/** The list of tenants outlives their members by that, so that whoever finds the process dead still finds it. */
const listedMs = 86_400_000;
/** Most tenants that are named at the same time. */
const atOnce = 100;

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
  /** Tenants whose members are to be named again, because it is time or the others may have let them leave. */
  readonly #unnamed = new Set<string>();
  #naming: Promise<void> | undefined;
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
      if (this.#timer === undefined) this.#next();
      if (!this.#leased) await this.#sayAlive();
      await this.#list(tenant);
      if (!entries.has(entry)) return;
      await store.beat(tenant, [beat], this.#server);
      // All may have been let go while this was under way.
      if (!entries.has(entry)) await store.leave(tenant, entry, false);
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

  /** Everything that is held; nothing is from now on, and nothing brings it back. */
  async dropAll(): Promise<readonly (readonly [tenant: string, entry: string])[]> {
    this.#closed = true;
    this.#parts.clock.clearTimeout(this.#timer);
    const all = [...this.#held].flatMap(([tenant, entries]) =>
      [...entries.keys()].map((entry) => [tenant, entry] as const),
    );
    for (const entries of this.#held.values()) entries.clear();
    this.#held.clear();
    this.#unnamed.clear();
    await this.#naming;
    return all;
  }

  #next(): void {
    const { clock } = this.#parts;
    this.#timer = clock.setTimeout(() => {
      // What fails now is done by the next; if none succeeds, the others take this process for dead.
      this.#sayAlive()
        .catch(() => {})
        .finally(() => {
          if (this.#closed) return;
          this.#name();
          this.#next();
        });
    }, this.#tickMs);
  }

  /** Names the members for which it is time. The next sign of life does not wait for it. */
  #name(): void {
    this.#ticks += 1;
    if (this.#ticks * this.#tickMs >= this.#parts.ttlMs / 3) {
      this.#ticks = 0;
      this.#nameAll();
    }
    this.#naming ??= this.#nameAgain().finally(() => {
      this.#naming = undefined;
    });
  }

  #nameAll(): void {
    for (const tenant of this.#held.keys()) this.#unnamed.add(tenant);
  }

  async #nameAgain(): Promise<void> {
    const tenants = [...this.#unnamed];
    for (let from = 0; from < tenants.length && !this.#closed; from += atOnce) {
      const some = tenants.slice(from, from + atOnce);
      await Promise.all(
        some.map(async (tenant) => {
          this.#unnamed.delete(tenant);
          try {
            await this.#nameOf(tenant);
          } catch {
            // Another master may answer for the other tenants.
            this.#unnamed.add(tenant);
          }
        }),
      );
    }
  }

  async #nameOf(tenant: string): Promise<void> {
    const { store } = this.#parts;
    const entries = this.#held.get(tenant);
    if (entries === undefined) return;
    await this.#list(tenant);
    const beats = [...entries];
    await store.beat(tenant, beats, this.#server);
    // One that was let go meanwhile may have been brought back.
    for (const [entry] of beats) if (!entries.has(entry)) await store.leave(tenant, entry, false);
  }

  async #sayAlive(): Promise<void> {
    const { redis, namespace, leaseMs, random } = this.#parts;
    const key = serversKey(namespace);
    const isNew = (await runScript(redis, presenceLeaseScript, [key], [this.#server, leaseMs])) === 1;
    if (isNew && this.#leased) {
      // The others have taken this process for dead. Under the old name somebody may be about to let its members leave.
      const before = this.#server;
      this.#server = newToken(random);
      this.#leased = false;
      this.#nameAll();
      await redis.command('ZREM', key, before);
      await runScript(redis, presenceLeaseScript, [key], [this.#server, leaseMs]);
    }
    this.#leased = true;
  }

  /** Where those look who find this process dead; before anybody is there. */
  async #list(tenant: string): Promise<void> {
    const { redis, namespace, ttlMs } = this.#parts;
    const held = heldKey(namespace, this.#server);
    await runScript(redis, presenceHeldScript, [held], [tenant, ttlMs + listedMs]);
  }
}
