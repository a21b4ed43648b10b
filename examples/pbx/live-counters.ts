import type { ChangeEvent, RedisExecutor, Stage } from '@cachekit/core';
import { type Counters, createCounters } from '@cachekit/redis';

export const countedNames = ['placed', 'answered', 'failed'] as const;
type CountedName = (typeof countedNames)[number];

/** Calls of the last ten minutes, in steps of ten seconds. */
export function liveCounters(redis: RedisExecutor): Counters {
  return createCounters({ redis, window: '10m', buckets: 60 });
}

/**
 * Counts calls as they are committed, before anybody is told of them.
 *
 * What cannot be counted holds nothing up. A batch that is delivered again is counted again: the views are the truth, and
 * this is what moves at once.
 */
export function countCalls(counters: Counters, onTrouble: (error: unknown) => void): Stage {
  return async (batch) => {
    const counts = new Map<string, { tenant: string; name: CountedName; amount: number }>();
    for (const change of batch) {
      const name = countedAs(change);
      if (name === undefined || change.tenant === undefined) continue;
      const key = `${change.tenant} ${name}`;
      const count = counts.get(key) ?? { tenant: change.tenant, name, amount: 0 };
      counts.set(key, { ...count, amount: count.amount + 1 });
    }
    const adding = [...counts.values()].map(({ tenant, name, amount }) => counters.add(tenant, name, amount));
    await Promise.all(adding).catch(onTrouble);
  };
}

function countedAs({ table, operation, old, new: call }: ChangeEvent): CountedName | undefined {
  if (table !== 'calls') return undefined;
  if (operation === 'insert') return 'placed';
  if (operation !== 'update' || old?.status === call?.status) return undefined;
  if (call?.status === 'answered') return 'answered';
  return call?.status === 'failed' ? 'failed' : undefined;
}
