import type { Clock, RedisExecutor } from '@cachekit/core';
import { loggedChanges } from '../scripts/fragments.ts';

/** The log is there for this long after the last of its readers is gone, and is prolonged this often. */
const keptMs = 3_600_000;
const prolongEveryMs = 600_000;
/** More news than this are not read: what memory holds is compared with Redis instead. */
const mostNews = 1_000;

/** One change, as the scripts of the tier logged it. */
export interface LoggedChange {
  readonly id: string;
  readonly message: string;
}

/** `[id, ['m', message]]` */
type Reply = readonly [id: string, fields: readonly string[]];

/**
 * The stream to which the scripts of the tier append as they write, while somebody reads it.
 *
 * Who wants to read it puts a mark at its end, which makes it, and from there it misses nothing; a mark tells of no key.
 */
export class ChangeLog {
  readonly #redis: RedisExecutor;
  readonly #key: string;
  readonly #clock: Clock;
  #prolongAt = 0;

  constructor(redis: RedisExecutor, key: string, clock: Clock) {
    this.#redis = redis;
    this.#key = key;
    this.#clock = clock;
  }

  /** Marks the end; the position from which to read. */
  async mark(): Promise<string> {
    const id = await this.#redis.command('XADD', this.#key, 'MAXLEN', '~', loggedChanges, '*', 'm', '[]');
    await this.prolong();
    return id as string;
  }

  /** What came after `position`; nothing if the log was cut or lost behind it, or if it is too much. */
  async after(position: string): Promise<readonly LoggedChange[] | undefined> {
    const read = await this.#redis.command('XRANGE', this.#key, position, '+', 'COUNT', mostNews + 1);
    const [last, ...news] = read as readonly Reply[];
    // The last one heard must still be there, or others behind it may be gone too.
    if (last?.[0] !== position || news.length === mostNews) return undefined;
    return news.map(([id, fields]) => ({ id, message: fields[1] ?? '' }));
  }

  /** Keeps the log for another while; does nothing if it was prolonged lately. */
  async prolong(): Promise<void> {
    const now = this.#clock.now();
    if (now < this.#prolongAt) return;
    this.#prolongAt = now + prolongEveryMs;
    await this.#redis.command('PEXPIRE', this.#key, keptMs);
  }
}
