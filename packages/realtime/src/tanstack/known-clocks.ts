import type { TierClock } from '@cachekit/core';
import { type QueryKeyLike, startsWithKey } from './query-key.ts';

/** What is known of how new the values of which keys must be. */
export interface KnownClocks {
  /** Something under `prefix` has changed; without a clock it is not known when. */
  note(prefix: QueryKeyLike, clock: TierClock | undefined): void;
  /** The newest change that concerns `key`; `undefined` when none does. */
  of(key: QueryKeyLike): { readonly clock: TierClock | undefined } | undefined;
}

/** Keeps at most `limit` prefixes; what is forgotten counts for every key, which asks for too much and never too little. */
export function createKnownClocks(limit = 1_000): KnownClocks {
  const noted = new Map<string, { readonly prefix: QueryKeyLike; readonly clock: TierClock | undefined }>();
  return {
    note(prefix, clock) {
      const name = JSON.stringify(prefix);
      const before = noted.get(name);
      noted.delete(name);
      noted.set(name, { prefix, clock: later(before?.clock, clock) });
      if (prefix.length === 0 || noted.size <= limit) return;
      for (const [oldest, { clock: forgotten }] of noted) {
        if (oldest === '[]') continue;
        noted.delete(oldest);
        this.note([], forgotten);
        return;
      }
    },
    of(key) {
      let found: { clock: TierClock | undefined } | undefined;
      for (const { prefix, clock } of noted.values()) {
        if (startsWithKey(key, prefix)) found = { clock: later(found?.clock, clock) };
      }
      return found;
    },
  };
}

function later(left: TierClock | undefined, right: TierClock | undefined): TierClock | undefined {
  return left === undefined || (right !== undefined && right > left) ? right : left;
}
