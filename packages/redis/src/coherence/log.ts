import type { Clock, Coherence, CoherenceSink, RedisExecutor, Timer } from '@cachekit/core';
import { loggedChanges } from '../scripts/fragments.ts';
import { hear } from './message.ts';

/** How often the log is read. */
const everyMs = 1_000;
/** The log is there for this long after the last of its readers is gone, and is prolonged this often. */
const keptMs = 3_600_000;
const prolongEveryMs = 600_000;
/** With more changes than this since the last look, memory is checked against Redis instead. */
const mostChanges = 1_000;

/** `[id, ['m', message]]` */
type Logged = readonly [id: string, fields: readonly string[]];

/**
 * Reads changes from a stream to which the scripts of the tier append as they write: once a second.
 *
 * The stream is made by who reads it, and while it is there every process appends to it, in whatever way it hears itself.
 * This is armed once it has put its own mark at the end. A look that fails, and a log that was cut or lost behind the last look,
 * are told as a loss. A process that is frozen between requests hears nothing meanwhile; let it keep no memory.
 */
export class LogCoherence implements Coherence {
  readonly mode = 'log';
  readonly #redis: RedisExecutor;
  readonly #log: string;
  readonly #clock: Clock;
  #sink: CoherenceSink | undefined;
  #timer: Timer | undefined;
  /** The last entry that was heard. Nothing: not armed. */
  #position: string | undefined;
  #prolongAt = 0;
  #closed = false;

  constructor(redis: RedisExecutor, log: string, clock: Clock) {
    this.#redis = redis;
    this.#log = log;
    this.#clock = clock;
  }

  start(sink: CoherenceSink): void {
    if (this.#sink !== undefined || this.#closed) return;
    this.#sink = sink;
    void this.#look(sink);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
    return Promise.resolve();
  }

  async #look(sink: CoherenceSink): Promise<void> {
    const lookedAt = this.#clock.now();
    try {
      if (this.#position !== undefined) await this.#follow(sink, this.#position);
      if (this.#position === undefined) await this.#arm(sink);
    } catch {
      this.#lose(sink);
    }
    if (this.#closed) return;
    const wait = Math.max(0, lookedAt + everyMs - this.#clock.now());
    this.#timer = this.#clock.setTimeout(() => void this.#look(sink), wait);
  }

  async #follow(sink: CoherenceSink, position: string): Promise<void> {
    const read = await this.#redis.command('XRANGE', this.#log, position, '+', 'COUNT', mostChanges + 1);
    if (this.#closed) return;
    const [last, ...news] = read as readonly Logged[];
    // The last one heard must still be there, or others behind it may be gone too.
    if (last?.[0] !== position || news.length === mostChanges) return this.#lose(sink);
    for (const [id, fields] of news) {
      this.#position = id;
      hear(fields[1] ?? '', sink);
    }
    if (this.#clock.now() >= this.#prolongAt) await this.#prolong();
  }

  async #arm(sink: CoherenceSink): Promise<void> {
    // It tells of no key, and whoever reads it takes it for that.
    const id = await this.#redis.command('XADD', this.#log, 'MAXLEN', '~', loggedChanges, '*', 'm', '[]');
    await this.#prolong();
    if (this.#closed) return;
    this.#position = id as string;
    sink.armed();
  }

  async #prolong(): Promise<void> {
    this.#prolongAt = this.#clock.now() + prolongEveryMs;
    await this.#redis.command('PEXPIRE', this.#log, keptMs);
  }

  #lose(sink: CoherenceSink): void {
    if (this.#position === undefined) return;
    this.#position = undefined;
    if (!this.#closed) sink.lost();
  }
}
