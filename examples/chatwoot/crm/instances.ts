import type { SqlExecutor, TierClock } from '@cachekit/core';
import { timeUntil } from './time-until.ts';
import type { Chat } from './trace.ts';
import { type Crm, type WiringOptions, wire } from './wiring.ts';

/** Two instances of the CRM, as two processes would have them, over one database and one Redis. */
export interface Instances {
  readonly crms: readonly [Crm, Crm];
  /** Resolves when one of them has heard of a message; the clock is that of its invalidation. */
  heard(message: number): Promise<TierClock | undefined>;
  close(): Promise<void>;
}

/** Starts them, and waits until each hears of what the other changes, as a readiness probe would. */
export async function startInstances(options: Omit<WiringOptions, 'onMessage'>): Promise<Instances> {
  const messages = new Map<number, PromiseWithResolvers<TierClock | undefined>>();
  const of = (id: number) => {
    const known = messages.get(id) ?? Promise.withResolvers<TierClock | undefined>();
    messages.set(id, known);
    return known;
  };
  const onMessage: WiringOptions['onMessage'] = ({ id, since }) => of(id).resolve(since);
  const crms = [await wire({ ...options, onMessage }), await wire({ ...options, onMessage })] as const;
  await timeUntil(() => allUp(crms));
  return {
    crms,
    heard: (id) => of(id).promise,
    async close() {
      for (const crm of crms) await crm.close();
    },
  };
}

/** Whether every instance reaches Redis, hears of what others change, and owes Redis nothing. */
export async function allUp(crms: readonly Crm[]): Promise<boolean> {
  const health = await Promise.all(crms.map(({ cache }) => cache.health()));
  return health.every(({ state, repairs }) => state === 'up' && repairs === 0);
}

/** What a scene plays on. */
export interface Scene extends Instances {
  /** Chatwoot's own connection, past the CRM. */
  readonly chatwoot: SqlExecutor;
  /** The chats in which something happened last. */
  readonly chats: readonly Chat[];
}
