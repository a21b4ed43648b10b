import type { ResolvedPolicy } from '../../policy.ts';
import type { EntryKind } from '../../ports/remote-tier.ts';

/**
 * From when on a fresh entry is refreshed behind those who read it: `loadMs * refreshAhead` before its end on the
 * average, by an exponential draw, so that one reader of many begins and what is slow to load begins earlier. Never
 * before half of the ttl.
 *
 * @param draw - In `[0, 1)`; drawn once for an entry, so that a hit compares and draws nothing.
 * @see Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention (VLDB 2015)
 */
export function aheadAt(
  entry: { readonly kind: EntryKind; readonly freshUntil: number; readonly loadMs: number },
  policy: ResolvedPolicy,
  draw: number,
): number {
  const { freshUntil, loadMs } = entry;
  if (policy.refreshAhead === 0 || entry.kind !== 'value' || freshUntil === 0) return freshUntil;
  // Loads of less than a millisecond are measured as 0 and would never begin ahead.
  const earlierMs = -Math.log(1 - draw) * Math.max(loadMs, 1) * policy.refreshAhead;
  return freshUntil - Math.min(earlierMs, policy.ttlMs / 2);
}
