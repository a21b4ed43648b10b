import type { TagRecord } from '../../memory/tag-records.ts';
import type { RemoteEntry, RemoteRead, RemoteTier, TierClock } from '../../ports/remote-tier.ts';

/** Calls the remote tier and rejects in time. */
export interface RemoteReader {
  readonly tier: RemoteTier;
  read<T>(
    operation: string,
    call: (tier: RemoteTier) => Promise<T>,
    keys?: string | readonly string[],
  ): Promise<T>;
}

/** Learns the tier's clock from an answer, and tells it. */
export interface TimeObserver {
  readonly known: boolean;
  observe(clock: TierClock, sentAt: number): void;
  toTier(localMs: number): number;
}

/** What a look into the remote tier found. */
export interface Found {
  readonly read: RemoteRead;
  /** The entry, if all of its tags say that it still holds. */
  readonly valid: RemoteEntry | undefined;
  /** Tags of the entry of which its key, or the tier at first, did not know; whoever looked releases them. */
  readonly others: readonly TagRecord[];
}

/** Whoever looks for a key. It is told one of the two, once. */
export interface Looker {
  readonly wire: string;
  /** The tags of the key, and the one of the namespace; held until it has been told. */
  readonly records: readonly TagRecord[];
  /** The read is sent now: what happens from now on it may not know. */
  sent(): void;
  found(found: Found): void;
  /** The tier did not answer. */
  failed(error: unknown): void;
}
