import type { Clock, Coherence, CoherenceSink, RedisExecutor, Timer } from '@cachekit/core';
import { hear } from './message.ts';

/** How often the log is read. */
const everyMs = 1_000;
/** With more changes than this since the last look, memory is checked against Redis instead. */
const mostChanges = 1_000;

/** `[id, ['m', message]]` */
type Logged = readonly [id: string, fields: readonly string[]];

/**
 * Reads changes from a stream to which the scripts of the tier append as they write: once a second.
 *
 * It is armed once it knows where the log ends. A look that fails, and a log that was cut or lost behind the last look,
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
    const start = position === start0 ? '-' : position;
    const read = await this.#redis.command('XRANGE', this.#log, start, '+', 'COUNT', mostChanges + 1);
    if (this.#closed) return;
    const logged = read as readonly Logged[];
    // The last one heard must still be there, or others behind it may be gone too.
    const gone = position !== start0 && logged[0]?.[0] !== position;
    if (gone || logged.length > mostChanges) return this.#lose(sink);
    for (const [id, fields] of position === start0 ? logged : logged.slice(1)) {
      this.#position = id;
      hear(fields[1] ?? '', sink);
    }
  }

  async #arm(sink: CoherenceSink): Promise<void> {
    const last = await this.#redis.command('XREVRANGE', this.#log, '+', '-', 'COUNT', 1);
    if (this.#closed) return;
    this.#position = (last as readonly Logged[])[0]?.[0] ?? start0;
    sink.armed();
  }

  #lose(sink: CoherenceSink): void {
    if (this.#position === undefined) return;
    this.#position = undefined;
    if (!this.#closed) sink.lost();
  }
}

/** Before the first entry of a log. */
const start0 = '0-0';
