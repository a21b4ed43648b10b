import type { RedisExecutor } from '@cachekit/core';
import { slotGroups } from '../slot-groups.ts';

/** What one key held; `null` also for a key of another type. */
export type Stored = string | null;

interface Request {
  readonly start: number;
  readonly count: number;
  readonly resolve: (stored: readonly Stored[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  readonly keys: string[];
  readonly requests: Request[];
  /** How many keys there were when the flush was put off last. */
  seen: number;
}

/** Keys per `MGET`: more would hold the server, and the replies of others, for too long. */
const mostKeys = 128;

/**
 * Sends the reads of one tick as one `MGET`, or on a cluster one for each hash tag.
 *
 * The flush waits as long as every microtask brings new reads, so that callers that are a few promises apart still
 * travel together.
 */
export class BatchedReads {
  readonly #redis: RedisExecutor;
  #batch: Batch | undefined;

  constructor(redis: RedisExecutor) {
    this.#redis = redis;
  }

  /** As {@link BatchedReads.read}, and waits for nobody else's. */
  readNow(keys: readonly string[]): Promise<readonly Stored[]> {
    if (this.#isOne(keys)) {
      return keys.length === 0 ? Promise.resolve([]) : this.#mget(keys);
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly Stored[]>();
    void this.#send({
      keys: keys as string[],
      requests: [{ start: 0, count: keys.length, resolve, reject }],
      seen: 0,
    });
    return promise;
  }

  /** Whether one `MGET` can read them. */
  #isOne(keys: readonly string[]): boolean {
    return keys.length <= mostKeys && !this.#redis.capabilities.cluster;
  }

  #mget(keys: readonly string[]): Promise<readonly Stored[]> {
    return this.#redis.command('MGET', ...keys) as Promise<readonly Stored[]>;
  }

  /** What the keys held, in the order asked. */
  read(keys: readonly string[]): Promise<readonly Stored[]> {
    if (keys.length === 0) return Promise.resolve([]);
    const { promise, resolve, reject } = Promise.withResolvers<readonly Stored[]>();
    const batch = this.#batch ?? this.#begin();
    batch.requests.push({ start: batch.keys.length, count: keys.length, resolve, reject });
    for (const key of keys) batch.keys.push(key);
    return promise;
  }

  #begin(): Batch {
    const batch: Batch = { keys: [], requests: [], seen: 0 };
    this.#batch = batch;
    queueMicrotask(this.#flush);
    return batch;
  }

  readonly #flush = (): void => {
    const batch = this.#batch as Batch;
    if (batch.keys.length > batch.seen && batch.keys.length < mostKeys) {
      batch.seen = batch.keys.length;
      queueMicrotask(this.#flush);
      return;
    }
    this.#batch = undefined;
    void this.#send(batch);
  };

  async #send(batch: Batch): Promise<void> {
    const { keys, requests } = batch;
    const [only] = requests;
    if (only !== undefined && requests.length === 1 && this.#isOne(keys)) {
      this.#mget(keys).then(only.resolve, only.reject);
      return;
    }
    const stored = new Array<Stored>(keys.length).fill(null);
    const failures = new Map<number, unknown>();
    await Promise.all(
      slotGroups(keys, this.#redis.capabilities.cluster).flatMap((group) =>
        pieces(group).map((positions) => this.#fetch(keys, positions, stored, failures)),
      ),
    );
    for (const request of requests) answer(request, stored, failures);
  }

  async #fetch(
    keys: readonly string[],
    positions: readonly number[],
    stored: Stored[],
    failures: Map<number, unknown>,
  ): Promise<void> {
    try {
      const wanted = positions.map((position) => keys[position] as string);
      const values = await this.#mget(wanted);
      for (let index = 0; index < positions.length; index++) {
        stored[positions[index] as number] = values[index] ?? null;
      }
    } catch (error) {
      for (const position of positions) failures.set(position, error);
    }
  }
}

function pieces(group: readonly number[]): readonly (readonly number[])[] {
  if (group.length <= mostKeys) return [group];
  const cut: (readonly number[])[] = [];
  for (let start = 0; start < group.length; start += mostKeys) cut.push(group.slice(start, start + mostKeys));
  return cut;
}

/** A read fails if one of its own keys could not be read; those of its neighbours do not count. */
function answer(request: Request, stored: readonly Stored[], failures: ReadonlyMap<number, unknown>): void {
  const end = request.start + request.count;
  if (failures.size > 0) {
    for (let position = request.start; position < end; position++) {
      if (failures.has(position)) request.reject(failures.get(position));
    }
  }
  // Has no effect on a read that was rejected.
  request.resolve(stored.slice(request.start, end));
}
