import type { Clock, RedisExecutor, Timer } from '@cachekit/core';
import { runScript } from '../script.ts';
import { claimed, presenceClaimScript } from '../scripts/presence-claim.ts';
import { presenceOverdueScript } from '../scripts/presence-overdue.ts';
import { presenceSettleScript } from '../scripts/presence-settle.ts';
import { dueKey, heldKey, serversKey } from './presence-keys.ts';
import type { PresenceStore } from './presence-store.ts';

/** What a sweeper needs. */
export interface SweeperParts {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly store: Pick<PresenceStore<unknown>, 'sweep' | 'due'>;
}

/** How often it looks, on average. */
const everyMs = 400;
/** Most tenants of one look; if there are more, it looks again at once. */
const atOnce = 100;

/**
 * Lets those leave that have not been seen for too long.
 *
 * Any number of processes may sweep: whoever takes a member out, in a script, is the one that tells of it.
 */
export class Sweeper {
  readonly #parts: SweeperParts;
  #timer: Timer | undefined;
  #running = false;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#next();
  }

  stop(): void {
    this.#running = false;
    this.#parts.clock.clearTimeout(this.#timer);
  }

  #next(): void {
    const { clock, random } = this.#parts;
    this.#timer = clock.setTimeout(
      () => {
        // Whatever fails now is due at the next look.
        this.#look()
          .catch(() => {})
          .finally(() => {
            if (this.#running) this.#next();
          });
      },
      everyMs * (0.5 + random()),
    );
  }

  async #look(): Promise<void> {
    // On a cluster another master may answer for the tenants.
    await this.#dropServers().catch(() => {});
    await this.#dropDue();
  }

  async #dropDue(): Promise<void> {
    const { namespace } = this.#parts;
    const key = dueKey(namespace);
    for (let from = '-inf'; this.#running; ) {
      const tenants = await this.#overdue(key, from);
      const swept = await Promise.all(tenants.map(([tenant, at]) => this.#dropDueOf(key, tenant, at)));
      const last = tenants.at(-1);
      if (last === undefined || tenants.length < atOnce) return;
      // Those that do not answer stay due, and do not hold up the others.
      from = swept.includes(true) ? last[1] : `(${last[1]}`;
    }
  }

  /** @returns Whether it was done. */
  async #dropDueOf(key: string, tenant: string, at: string): Promise<boolean> {
    try {
      const { nextAt } = await this.#parts.store.sweep(tenant, '');
      await this.#settle(key, tenant, at, nextAt);
      return true;
    } catch {
      return false;
    }
  }

  async #dropServers(): Promise<void> {
    const { redis, namespace } = this.#parts;
    const key = serversKey(namespace);
    for (const [name, at] of await this.#overdue(key, '-inf')) {
      const server = await runScript(redis, presenceClaimScript, [key], [name, at]);
      if (server === '') continue;
      const held = heldKey(namespace, server);
      let dropped = true;
      for (const tenant of (await redis.command('SMEMBERS', held)) as string[]) {
        dropped = (await this.#dropHeldOf(held, tenant, server)) && dropped;
      }
      // What was not done is done by whoever claims it next.
      if (dropped) await redis.command('ZREM', key, claimed + server);
    }
  }

  /** @returns Whether it was done. */
  async #dropHeldOf(held: string, tenant: string, server: string): Promise<boolean> {
    const { redis, store } = this.#parts;
    try {
      await store.sweep(tenant, server);
      // With a grace they drop out earlier than was noted.
      await store.due(tenant, 0);
      await redis.command('SREM', held, tenant);
      return true;
    } catch {
      return false;
    }
  }

  async #overdue(key: string, from: string): Promise<readonly (readonly [name: string, at: string])[]> {
    const reply = await runScript(this.#parts.redis, presenceOverdueScript, [key], [atOnce, from]);
    return Array.from({ length: reply.length / 2 }, (_, index) => [
      reply[2 * index] as string,
      reply[2 * index + 1] as string,
    ]);
  }

  async #settle(key: string, name: string, at: string, nextAt: number): Promise<void> {
    await runScript(this.#parts.redis, presenceSettleScript, [key], [name, at, nextAt]);
  }
}
