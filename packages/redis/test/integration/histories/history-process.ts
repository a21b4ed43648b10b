/** One process of a random history: reads and writes as its parent says, and asks its parent for what it loads. */
import { type CoherenceMode, createCache, defineKeys, resource, type TierClock } from '@cachekit/core';
import { type NatMap, type Reach, tierOf } from './reach.ts';
import { type Sabotage, sabotaged } from './sabotage.ts';

/** What the parent asks for. */
export type Order =
  | { readonly do: 'read' | 'invalidate' | 'invalidateTag'; readonly id: number; readonly key: string }
  | { readonly do: 'set'; readonly id: number; readonly key: string; readonly value: number }
  | { readonly do: 'loaded'; readonly load: number; readonly value: number }
  | { readonly do: 'close'; readonly id: number };

/** What the child answers. */
export type Answer =
  | { readonly id: number; readonly value?: unknown; readonly error?: string }
  | { readonly load: number; readonly key: string }
  | { readonly ready: true };

/** What the process is started with, as JSON. */
export interface Start {
  readonly reach: Reach;
  readonly through: NatMap;
  readonly namespace: string;
  readonly coherence: CoherenceMode;
  readonly sabotage: Sabotage;
}

const { reach, through, namespace, coherence, sabotage } = JSON.parse(process.argv[2] ?? '') as Start;
const keys = defineKeys({
  namespace,
  scope: 'tenant',
  resources: {
    item: resource<number, { id: string }>({
      ttl: '1m',
      staleIfError: '1m',
      tags: ({ id }) => [`tag ${id}`],
    }),
  },
});
const store = tierOf(reach, through, { namespace, coherence, commandTimeout: undefined });
const tier = sabotage === 'none' ? store.tier : sabotaged(store.tier, sabotage);
const cache = createCache({ namespace, remote: tier });
const loads = new Map<number, (value: number) => void>();
let lastLoad = 0;

const say = (answer: Answer) => process.send?.(answer);
const item = (key: string) => keys.item({ tenant: 'acme', id: key });

async function carryOut(order: Exclude<Order, { do: 'loaded' | 'close' }>): Promise<number | TierClock> {
  switch (order.do) {
    case 'read':
      return await cache.getOrLoad(item(order.key), () => {
        const load = ++lastLoad;
        return new Promise((resolve) => {
          loads.set(load, resolve);
          say({ load, key: order.key });
        });
      });
    case 'invalidate':
      // Past the cache, so that its memory keeps what it has.
      if (sabotage === 'keep in memory what they invalidate')
        return await tier.delete([item(order.key).wire]);
      return await cache.invalidate(item(order.key));
    case 'invalidateTag':
      return await cache.invalidateTags(keys.tag('acme', `tag ${order.key}`));
    case 'set':
      return await cache.set(item(order.key), order.value);
  }
}

process.on('message', async (order: Order) => {
  if (order.do === 'loaded') {
    loads.get(order.load)?.(order.value);
    loads.delete(order.load);
    return;
  }
  if (order.do === 'close') {
    await cache.close();
    await store.close();
    say({ id: order.id });
    process.disconnect?.();
    return;
  }
  try {
    say({ id: order.id, value: await carryOut(order) });
  } catch (error) {
    say({ id: order.id, error: String((error as { code?: string }).code ?? error) });
  }
});
say({ ready: true });
