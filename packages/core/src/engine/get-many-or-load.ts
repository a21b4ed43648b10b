import type { ManyLoader } from '../cache/loader.ts';
import type { ReadOptions } from '../cache/read-options.ts';
import { ArgumentError, listed } from '../errors.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import { answer } from './get-or-load.ts';
import type { EngineParts } from './parts.ts';
import { readRequest } from './read-request.ts';
import { settledAll } from './settled-all.ts';

/**
 * The values of many ids, in the order asked and with their duplicates. Each key flies its own flight, so that single
 * reads of it join; the loads of all that nobody else loads are collected and begin as one.
 */
export async function getManyOrLoad<Id>(
  parts: EngineParts,
  ids: readonly Id[],
  keyOf: (id: Id) => CacheKey,
  loader: ManyLoader<Id, unknown>,
  options: ReadOptions | undefined,
): Promise<unknown[]> {
  parts.use();
  if (typeof loader !== 'function' || typeof keyOf !== 'function') {
    throw new ArgumentError('getManyOrLoad: give ids, a function that makes the key, and one that loads');
  }
  const list = listed('getManyOrLoad', ids);
  const keys = list.map((id) => keyOf(id));
  const wanted = new Map<string, Wanted<Id>>();
  for (const [index, key] of keys.entries()) wanted.set(key?.wire, { id: list[index] as Id, key });
  const collected = new Collected(wanted.size, loader);
  // All at once: in one tick the tier puts their reads, and later their acquires, into one call each.
  const reads = [...wanted].map(async ([wire, { id, key }]) => {
    const passed = collected.passing();
    try {
      const load = collected.loaderOf(id, passed);
      const request = readRequest(parts, key, load, options, 'getManyOrLoad');
      return [wire, (await answer(parts, { ...request, elsewhere: passed })).value] as const;
    } finally {
      passed();
    }
  });
  const values = new Map(await settledAll(reads));
  return keys.map((key) => values.get(key.wire));
}

interface Wanted<Id> {
  readonly id: Id;
  readonly key: CacheKey;
}

/** One call of the loader under way. */
interface Batch<Id> {
  readonly ids: Id[];
  readonly signals: AbortSignal[];
  readonly loaded: PromiseWithResolvers<ReadonlyMap<Id, unknown>>;
}

/**
 * Gathers the ids that have to be loaded, until every id of the call is either among them, answered, or loaded by
 * somebody else. An id that comes later, because that somebody failed, begins a batch of its own.
 */
class Collected<Id> {
  readonly #loader: ManyLoader<Id, unknown>;
  #open: number;
  #batch: Batch<Id> | undefined;

  constructor(count: number, loader: ManyLoader<Id, unknown>) {
    this.#open = count;
    this.#loader = loader;
  }

  /** A function to be called once an id no longer has to be waited for; calling it again does nothing. */
  passing(): () => void {
    let passed = false;
    return () => {
      if (passed) return;
      passed = true;
      this.#open--;
      this.#depart();
    };
  }

  loaderOf(id: Id, passed: () => void): (context: { signal: AbortSignal }) => Promise<unknown> {
    return async ({ signal }) => {
      this.#batch ??= { ids: [], signals: [], loaded: Promise.withResolvers() };
      const { ids, signals, loaded } = this.#batch;
      ids.push(id);
      signals.push(signal);
      passed();
      this.#depart();
      const values = await loaded.promise;
      return values.get(id) ?? null;
    };
  }

  #depart(): void {
    const batch = this.#batch;
    if (this.#open > 0 || batch === undefined) return;
    this.#batch = undefined;
    const { ids, loaded } = batch;
    callLoader(this.#loader, ids, allAborted(batch.signals)).then(loaded.resolve, loaded.reject);
  }
}

async function callLoader<Id>(
  loader: ManyLoader<Id, unknown>,
  ids: readonly Id[],
  signal: AbortSignal,
): Promise<ReadonlyMap<Id, unknown>> {
  const given = await loader(ids, { signal });
  if (given instanceof Map) return given as ReadonlyMap<Id, unknown>;
  if (!Array.isArray(given) || given.length !== ids.length) {
    throw new ArgumentError(
      `The loader of getManyOrLoad gives a Map by id, or an array as long as the ids: ${ids.length}`,
    );
  }
  const values = given as readonly unknown[];
  return new Map(ids.map((id, index) => [id, values[index]]));
}

/** Aborts once all of them have: until then somebody still waits for the batch. */
function allAborted(signals: readonly AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  let left = signals.length;
  for (const signal of signals) {
    const leave = () => {
      left--;
      if (left === 0) controller.abort(signal.reason);
    };
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  }
  return controller.signal;
}
