import type { OperationsReport } from '../operations.ts';
import type { CacheReport } from '../page/api.ts';
import type { DoLink } from './links.ts';
import { bodyOf, type Visitor } from './visitor.ts';

/** What the people who run it see: hit rate, memory of Redis, alerts, and how many requests are left. */
export async function lookAfter({ ask }: Visitor, link: DoLink): Promise<void> {
  await link('operations', async () => {
    const { cache, redis } = bodyOf(await ask<CacheReport>('GET', '/api/v1/cache/metrics'), 200);
    const { alerts } = bodyOf(await ask<OperationsReport>('GET', '/api/operations'), 200);
    const memory = redis ? `, Redis ${redis.memory.usedMemoryHuman}` : '';
    return {
      seen: `hit rate ${cache.overall.hitRate} %${memory}, alerts: ${alerts.length}`,
      value: undefined,
    };
  });
  await link('limits are told', async () => {
    const { headers } = await ask('GET', '/api/parts');
    const said = headers.get('RateLimit');
    if (!said) throw new Error('an answer has no RateLimit field');
    return { seen: `RateLimit: ${said}`, value: undefined };
  });
}
