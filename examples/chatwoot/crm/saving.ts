import { countedSql } from './counted.ts';
import type { Scene } from './instances.ts';
import { type Counted, countedBy } from './meter.ts';
import { plainReads } from './reads.ts';
import { type Replayed, replay } from './replay.ts';
import type { Second } from './trace.ts';

/** The same trace without a cache and with one that is empty at first. */
export interface Saving {
  readonly without: Replayed & { readonly queries: number };
  readonly with: Replayed & {
    readonly queries: number;
    /** Statements by which the instances heard of changes, `begin` and `commit` among them. */
    readonly following: number;
    readonly resources: ReadonlyMap<string, Counted>;
  };
  /** Of 100 queries of reads, those that were not needed. */
  readonly savedPercent: number;
  /** Of 100 requests to the caches. */
  readonly hitRate: number;
}

/** What the cache was bought for. */
export const promised = { savedPercent: 60, hitRate: 70 };

export function keepsPromise({ savedPercent, hitRate, with: { failed, old } }: Saving): boolean {
  return savedPercent >= promised.savedPercent && hitRate > promised.hitRate && failed + old === 0;
}

/** Plays the trace twice on the same database, the second time on the instances. */
export async function measureSaving(
  { crms, heard, chatwoot }: Omit<Scene, 'chats'>,
  trace: readonly Second[],
): Promise<Saving> {
  const plain = countedSql(chatwoot);
  const without = await replay(trace, { reads: [plainReads(plain)], chatwoot });

  await crms[0].cache.clear();
  for (const { cache } of crms) cache.resetMetrics();
  const asked = (of: 'sql' | 'changes') => crms.reduce((sum, crm) => sum + crm.asked[of].queries, 0);
  const before = { sql: asked('sql'), changes: asked('changes') };
  const cached = await replay(trace, { reads: crms.map(({ reads }) => reads), chatwoot, heard });
  const queries = asked('sql') - before.sql;
  const following = asked('changes') - before.changes;
  const resources = countedBy(crms);
  return {
    without: { ...without, queries: plain.queries },
    with: { ...cached, queries, following, resources },
    savedPercent: 100 * (1 - queries / plain.queries),
    hitRate: resources.get('overall')?.hitRate ?? 0,
  };
}
