import { expect, vi } from 'vitest';
import type { Cache } from '../../cache/cache.ts';
import type { CacheOptions } from '../../cache/cache-options.ts';
import { createCache } from '../../create-cache.ts';
import type { CacheKey, CacheTag } from '../../keys/cache-key.ts';
import { defineKeys } from '../../keys/key-space.ts';
import { resource } from '../../keys/resource.ts';
import { noLink, type RaceFixture, type RaceLink, type SharedStore } from './store.ts';

/** Patience on a machine that does other things too. */
export const patienceMs = 15_000;
/** How long a process waits for a tier that is away, in races about that. */
export const outageTimeoutMs = 1_500;
/** What a caller may wait for a tier that does not answer, its first time. */
export const coldReadMs = 5_000;

const tenant = 'acme';

/** A process that takes part in a race. */
export interface Racer {
  readonly cache: Cache;
  readonly link: RaceLink;
}

/** Where one run of a race takes place: a fresh store and the processes on it. */
export class Ground {
  /** Loads that fail in R26. */
  readonly failingLoads: number;
  readonly #store: RaceFixture;
  readonly #caches: Cache[] = [];
  readonly #unreached: string[] = [];
  readonly #loading: ((value: unknown) => void)[] = [];
  readonly #keys: ReturnType<typeof keysOf>;

  constructor(store: RaceFixture, failingLoads: number) {
    this.#store = store;
    this.#keys = keysOf(store.namespace);
    this.failingLoads = failingLoads;
  }

  /** Whether there can be more than one process. */
  get many(): boolean {
    return this.#store.shared !== undefined;
  }

  /** What processes share; asked only by races that need it. */
  get shared(): SharedStore {
    if (this.#store.shared === undefined) throw new Error('Memory is all there is');
    return this.#store.shared;
  }

  /** One more process. */
  async start(over: CacheOptions = {}, timeoutMs: number = patienceMs): Promise<Racer> {
    const opened = await this.#store.shared?.open(timeoutMs);
    const cache = createCache({
      namespace: this.#store.namespace,
      ...(opened === undefined ? {} : { remote: opened.tier }),
      ...over,
    });
    this.#caches.push(cache);
    cache.on('tierError', ({ error }) => this.#unreached.push(String(error)));
    return { cache, link: opened?.link ?? noLink };
  }

  /** Two more processes. */
  async two(): Promise<readonly [Racer, Racer]> {
    return await Promise.all([this.start(), this.start()]);
  }

  /** Another process, or the same where there is but one. */
  async another(cache: Cache): Promise<Cache> {
    return this.many ? (await this.start()).cache : cache;
  }

  item(id: string): CacheKey<unknown> {
    return this.#keys.item({ tenant, id });
  }

  /** The tag that every item carries. */
  get items(): CacheTag {
    return this.#keys.tag(tenant, 'items');
  }

  /** A load under way: `early` is the answer to who asked for it, and `end` gives it its value. */
  async loading(
    cache: Cache,
    id: string,
  ): Promise<{ readonly early: Promise<unknown>; end(value: unknown): void }> {
    const loaded = Promise.withResolvers<unknown>();
    this.#loading.push(loaded.resolve);
    const load = vi.fn(() => loaded.promise);
    const early = cache.getOrLoad(this.item(id), load);
    // Nobody may be left to hear how it ended when the race is lost.
    early.catch(() => {});
    await this.wait(() => expect(load).toHaveBeenCalled());
    return { early, end: loaded.resolve };
  }

  /** Reads until memory has the value and trusts it. */
  async inMemory(cache: Cache, id: string, value: unknown): Promise<void> {
    await this.wait(async () => {
      expect(await cache.getOrLoad(this.item(id), async () => value)).toEqual(value);
      expect(cache.peek(this.item(id))).toEqual(value);
    });
  }

  /** Reads until the value comes. */
  eventually(read: () => Promise<unknown>, value: unknown): Promise<void> {
    return this.wait(async () => expect(await read()).toEqual(value));
  }

  /** Tries until it does not throw. */
  wait(check: () => void | Promise<void>): Promise<void> {
    return vi.waitFor(check, { timeout: patienceMs, interval: 5 });
  }

  /** Which calls did not reach the store, for whoever reads why a race was lost. */
  get unreached(): readonly string[] {
    return this.#unreached;
  }

  async close(): Promise<void> {
    for (const end of this.#loading) end(null);
    await Promise.all(this.#caches.map((cache) => cache.close()));
    await this.#store.close();
  }
}

function keysOf(namespace: string) {
  return defineKeys({
    namespace,
    scope: 'tenant',
    resources: { item: resource<unknown, { id: string }>({ ttl: '1m', tags: ['items'] }) },
  });
}

/** Real time passes. */
export function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
