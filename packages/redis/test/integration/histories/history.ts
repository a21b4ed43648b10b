import { type CoherenceMode, createCache, defineKeys, resource } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Child } from './history-child.ts';
import { type Reach, tierOf } from './reach.ts';
import type { Sabotage } from './sabotage.ts';

const processCount = 4;
const keyNames = Array.from({ length: 10 }, (_, index) => `k${index}`);
/** How long a process may go on serving what another has invalidated, whatever happens to its connections. */
const worstMs = 8_000;

/** What {@link liveHistory} takes. */
export interface HistoryOptions {
  readonly reach: Reach;
  readonly coherence: CoherenceMode;
  readonly seed: number;
  readonly runMs: number;
  /** What the processes do wrong; the history then ends with the first broken promise. */
  readonly sabotage?: Sabotage;
}

/** How a history went. */
export interface Told {
  /** Every read that gave less than was promised. */
  readonly wrong: readonly string[];
  readonly reads: number;
  readonly written: number;
}

/** A newest version whose invalidation has been carried out, and when. */
interface Floor {
  readonly version: number;
  readonly at: number;
  readonly by: number;
  readonly what: string;
}

/**
 * Four processes behind links that break read and write ten keys at random, and every read is checked against what is
 * promised: by the deleting process and by reads that reach Redis never an older value, elsewhere in time.
 */
export async function liveHistory(options: HistoryOptions): Promise<Told> {
  const { reach, coherence, seed, runMs, sabotage = 'none' } = options;
  const random = numbers(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const namespace = uniqueNamespace();
  const database = new Map(keyNames.map((key) => [key, 0]));
  const floors = new Map<string, Floor[]>(keyNames.map((key) => [key, []]));
  const wrong: string[] = [];
  /** What happened to each key, for whoever asks how a read could be wrong. */
  const trails = new Map<string, string[]>(keyNames.map((key) => [key, []]));
  const startedAt = Date.now();
  const note = (key: string, what: string): void => {
    trails.get(key)?.push(`${Date.now() - startedAt}: ${what}`);
  };
  const writing = new Set<string>();
  let reads = 0;

  const children = await Promise.all(
    Array.from({ length: processCount }, async (_, by) => {
      const delay = () => Math.floor(random() * 30);
      return await Child.start({ reach, namespace, coherence, sabotage }, async (key) => {
        // The value is read in the middle of the load, as that of a query is.
        await sleep(delay());
        const version = database.get(key) ?? 0;
        note(key, `process ${by} loads @${version}`);
        await sleep(delay());
        return version;
      });
    }),
  );
  const cold = coldReader(namespace, reach, database);

  /** What a read that begins now must not be older than. */
  const floorOf = (key: string, reader: number | 'redis'): Floor => {
    const now = Date.now();
    let highest: Floor = { version: 0, at: now, by: 0, what: 'nothing' };
    for (const floor of floors.get(key) ?? []) {
      const holds = reader === 'redis' || floor.by === reader || now - floor.at > worstMs;
      if (holds && floor.version > highest.version) highest = floor;
    }
    return highest;
  };
  const check = (reader: string, key: string, value: number, floor: Floor): void => {
    reads++;
    if (value >= floor.version) return;
    const { version, at, by, what } = floor;
    const trail = trails.get(key)?.slice(-30).join('\n');
    wrong.push(
      `${reader} ${key}@${value}; ${what} @${version} by process ${by} ${Date.now() - at} ms ago\n${trail}`,
    );
  };

  const read = async (by: number): Promise<void> => {
    const key = pick(keyNames);
    const floor = floorOf(key, by);
    const { value, error } = await (children[by] as Child).order({ do: 'read', key });
    if (error !== undefined) return;
    check(`process ${by} read`, key, value as number, floor);
  };
  const readCold = async (): Promise<void> => {
    const key = pick(keyNames);
    const floor = floorOf(key, 'redis');
    check('a read of Redis gave', key, await cold.read(key), floor);
  };
  const write = async (by: number): Promise<void> => {
    const key = pick(keyNames);
    // Two writers of one key would be ordered by the database; a set() that races with them would not.
    if (writing.has(key)) return;
    writing.add(key);
    const version = (database.get(key) ?? 0) + 1;
    database.set(key, version);
    const what = pick(['invalidate', 'invalidate', 'invalidateTag', 'set'] as const);
    const order =
      what === 'set' ? ({ do: what, key, value: version } as const) : ({ do: what, key } as const);
    note(key, `process ${by}: ${what} @${version}`);
    const { error } = await (children[by] as Child).order(order);
    note(key, `process ${by}: ${what} @${version} ${error ?? 'done'}`);
    writing.delete(key);
    if (error === undefined) floors.get(key)?.push({ version, at: Date.now(), by, what });
  };
  const breakOne = async (): Promise<void> => {
    const child = pick(children);
    // One of several servers, or all of them.
    const broken = random() < 0.5 ? [pick(child.proxies)] : child.proxies;
    const fault = pick(['cut', 'cut bus', 'hang', 'refuse'] as const);
    for (const proxy of broken) {
      if (fault === 'cut') proxy.cut();
      else if (fault === 'cut bus') proxy.cut(({ sent }) => /subscribe/i.test(sent));
      else if (fault === 'hang') proxy.hang();
      else proxy.refuse();
    }
    await sleep(50 + random() * 450);
    child.mend();
  };

  const found = (): boolean => sabotage !== 'none' && wrong.length > 0;
  const until = Date.now() + runMs;
  // A busy machine reads less in the same time.
  const atMost = until + (sabotage === 'none' ? 60_000 : 0);
  const goesOn = (): boolean => Date.now() < (reads > leastReads ? until : atMost) && !found();
  const lane = async (step: () => Promise<void>, pauseMs: number): Promise<void> => {
    while (goesOn()) {
      await step();
      await sleep(random() * pauseMs);
    }
  };
  try {
    await Promise.all([
      ...children.flatMap((_, by) => [
        lane(() => read(by), 10),
        lane(() => read(by), 10),
        lane(() => write(by), 120),
      ]),
      lane(readCold, 10),
      lane(breakOne, 400),
    ]);
    for (const child of children) child.mend();
    if (found()) return { wrong, reads, written: 0 };
    await sleep(worstMs + 200);
    for (let round = 0; round < 20; round++) {
      for (let by = 0; by < processCount; by++) await read(by);
      await readCold();
    }
    return { wrong, reads, written: [...floors.values()].flat().length };
  } finally {
    await Promise.all(children.map((child) => child.close()));
    await cold.close();
  }
}

/** A history of fewer reads shows nothing. */
const leastReads = 200;

/** Reads that all reach Redis: a process without memory, on a link that nobody breaks. */
function coldReader(namespace: string, reach: Reach, database: ReadonlyMap<string, number>) {
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
  const { tier, close } = tierOf(reach, {}, { namespace, coherence: 'ttl', commandTimeout: '10s' });
  const cache = createCache({ namespace, memory: false, remote: tier });
  return {
    read: (key: string) =>
      cache.getOrLoad(keys.item({ tenant: 'acme', id: key }), () => database.get(key) ?? 0),
    close: async () => {
      await cache.close();
      await close();
    },
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Numbers in `[0, 1)` that are the same for the same seed.
 *
 * @see mulberry32
 */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
