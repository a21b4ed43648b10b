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
    await this.#dropServers();
    while (this.#running && (await this.#dropDue()) === atOnce);
  }

  async #dropDue(): Promise<number> {
    const { namespace, store } = this.#parts;
    const key = dueKey(namespace);
    const tenants = await this.#overdue(key);
    for (const [tenant, at] of tenants) {
      const { nextAt } = await store.sweep(tenant, '');
      await this.#settle(key, tenant, at, nextAt);
    }
    return tenants.length;
  }

  async #dropServers(): Promise<void> {
    const { redis, namespace, store } = this.#parts;
    const key = serversKey(namespace);
    for (const [name, at] of await this.#overdue(key)) {
      const server = await runScript(redis, presenceClaimScript, [key], [name, at]);
      if (server === '') continue;
      const held = heldKey(namespace, server);
      for (const tenant of (await redis.command('SMEMBERS', held)) as string[]) {
        await store.sweep(tenant, server);
        // With a grace they drop out earlier than was noted.
        await store.due(tenant, 0);
        await redis.command('SREM', held, tenant);
      }
      await redis.command('ZREM', key, claimed + server);
    }
  }

  async #overdue(key: string): Promise<readonly (readonly [name: string, at: string])[]> {
    const reply = await runScript(this.#parts.redis, presenceOverdueScript, [key], [atOnce]);
    return Array.from({ length: reply.length / 2 }, (_, index) => [
      reply[2 * index] as string,
      reply[2 * index + 1] as string,
    ]);
  }

  async #settle(key: string, name: string, at: string, nextAt: number): Promise<void> {
    await runScript(this.#parts.redis, presenceSettleScript, [key], [name, at, nextAt]);
  }
}
