import { expect } from 'vitest';
import { entryFields, withField } from '../../entry.ts';
import { tenantPrefix } from '../../keys/wire-key.ts';
import { systemClock } from '../../ports/clock.ts';
import type { RemoteEntry, RemoteTier, TierClock } from '../../ports/remote-tier.ts';

/** A server and what plays processes on it, for one test. */
export interface RemoteTierFixture {
  /** The namespace that no other test uses. */
  readonly namespace: string;
  /** One more process: a tier of its own on the same server. */
  open(): RemoteTier;
  /** Writes any text at a key, as a foreign client might. */
  write(key: string, text: string): Promise<void>;
  /** Removes a key behind the back of the tier, as an eviction does. */
  evict(key: string): Promise<void>;
  /** Closes what the fixture opened; the tiers are closed before. */
  close(): Promise<void>;
}

/** Patience on a machine that does other things too. */
export const waitMs = 10_000;

let versions = 0;

/** Where one test takes place: a server of its own and two processes on it. */
export interface TierGround {
  readonly server: RemoteTierFixture;
  readonly tier: RemoteTier;
  readonly other: RemoteTier;
  /** Begins the keys of the tenant. */
  readonly prefix: string;
  readonly key: string;
  readonly tag: string;
  /** Takes the lease of a load, which must be free, and gives the clock of the load. */
  acquired(of: RemoteTier, at: string, token: string, leaseMs?: number): Promise<TierClock>;
  /** Loads and commits an entry. */
  stored(at: string, over?: Partial<RemoteEntry>, ttlMs?: number): Promise<RemoteEntry>;
  /** What the other process reads. */
  readOne(at: string, by?: RemoteTier): Promise<unknown>;
  close(): Promise<void>;
}

export function tierGround(server: RemoteTierFixture): TierGround {
  const tier = server.open();
  const other = server.open();
  const prefix = tenantPrefix(server.namespace, 'c', 'acme');

  async function acquired(of: RemoteTier, at: string, token: string, leaseMs = 60_000): Promise<TierClock> {
    const acquisition = await of.acquire({ key: at, token, leaseMs });
    expect(acquisition).toMatchObject({ state: 'acquired' });
    return acquisition.state === 'acquired' ? acquisition.clock : 0;
  }

  async function stored(at: string, over: Partial<RemoteEntry> = {}, ttlMs = 60_000): Promise<RemoteEntry> {
    const token = nextToken();
    const clock = await acquired(tier, at, token);
    const entry = entryOf({ clock, version: token, ...over });
    expect(await tier.commit({ key: at, token, entry, ttlMs })).toBe(true);
    return entry;
  }

  return {
    server,
    tier,
    other,
    prefix,
    key: `${prefix}devices`,
    tag: `${prefix}#devices`,
    acquired,
    stored,
    readOne: async (at, by = other) => (await by.getMany([at]))[0],
    close: async () => {
      for (const each of [tier, other]) {
        await each.coherence?.close();
        await each.close();
      }
      await server.close();
    },
  };
}

export function entryOf(over: Partial<RemoteEntry>): RemoteEntry {
  return {
    kind: 'value',
    clock: 1_750_000_000_000_000,
    freshUntil: 1_750_000_060_000,
    version: nextToken(),
    loadMs: 5,
    tags: [],
    codec: 'J',
    payload: '{"id":1}',
    ...over,
  };
}

/** The text of an entry, with a refresh on it that ends then. */
export function refreshing(text: string, until: number): string {
  return withField(withField(text, entryFields.refreshToken, nextToken()), entryFields.refreshUntil, until);
}

/** Differs from every other of this run, and from those of a run before by its length in time. */
export function nextToken(): string {
  return `t${String(versions++).padStart(9, '0')}`;
}

/** Real time passes: what is tested is that something is still there after its old end. */
export function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.setTimeout(() => resolve(), ms);
  });
}
