import type { ResolvedPolicy } from '../../policy.ts';
import type { EntryKind } from '../../ports/remote-tier.ts';

/** What an entry is good for. `last-resort`: only in place of a load that failed. */
export type Freshness = 'fresh' | 'stale' | 'last-resort' | 'absent';

/**
 * What an entry is good for at `now`, by its age alone.
 *
 * | since `freshUntil`            | it is                                        |
 * | ----------------------------- | -------------------------------------------- |
 * | not reached                   | fresh                                        |
 * | within `staleWhileRevalidate` | stale: served, and loaded again behind it    |
 * | within `staleIfError`         | the last resort                              |
 * | later                         | absent                                       |
 *
 * "Does not exist" is never served after its time. An entry that was made stale on purpose (`freshUntil` 0) is the
 * last resort as long as a tier holds it.
 *
 * @see RFC 5861
 */
export function freshness(
  entry: { readonly kind: EntryKind; readonly freshUntil: number },
  now: number,
  policy: ResolvedPolicy,
): Freshness {
  if (now < entry.freshUntil) return 'fresh';
  if (entry.kind !== 'value') return 'absent';
  if (entry.freshUntil === 0) return policy.staleIfErrorMs > 0 ? 'last-resort' : 'absent';
  if (now < entry.freshUntil + policy.staleWhileRevalidateMs) return 'stale';
  return now < entry.freshUntil + policy.staleIfErrorMs ? 'last-resort' : 'absent';
}
