import type { Codec } from '../../ports/codec.ts';
import type { CommitRequest, EntryKind, RemoteTier, TierClock } from '../../ports/remote-tier.ts';

/** A loaded value on its way to the remote tier. */
export interface Loaded {
  readonly key: string;
  readonly token: string;
  readonly kind: EntryKind;
  readonly value: unknown;
  readonly clock: TierClock;
  readonly freshUntil: number;
  readonly loadMs: number;
  readonly tags: readonly string[];
  readonly ttlMs: number;
}

/** How a commit ended. `unstorable`: the codec refused the value. */
export type Committed =
  | { readonly state: 'stored' | 'refused' | 'unreached' }
  | { readonly state: 'unstorable'; readonly error: unknown };

/**
 * Stores what was loaded, if nothing overtook the load. Never rejects: the caller has its value whatever becomes of it.
 */
export async function commit(
  remote: { attempt<T>(operation: string, call: (tier: RemoteTier) => Promise<T>, key: string): Promise<T> },
  codec: Codec,
  loaded: Loaded,
): Promise<Committed> {
  let request: CommitRequest;
  try {
    const { key, token, ttlMs, value, ...rest } = loaded;
    request = {
      key,
      token,
      ttlMs,
      entry: { ...rest, version: token, codec: codec.id, payload: codec.encode(value) },
    };
  } catch (error) {
    return { state: 'unstorable', error };
  }
  try {
    const stored = await remote.attempt('commit', (tier) => tier.commit(request), request.key);
    return { state: stored ? 'stored' : 'refused' };
  } catch {
    // Told by whoever makes the call.
    return { state: 'unreached' };
  }
}
