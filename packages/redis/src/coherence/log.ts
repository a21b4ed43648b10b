import type { Clock, Coherence, CoherenceSink, Timer } from '@cachekit/core';
import type { ChangeLog } from './change-log.ts';
import { hear } from './message.ts';

/** How often the log is read. */
const everyMs = 1_000;

/**
 * Reads the log of changes once a second. It is armed once it has put its own mark at the end.
 *
 * A look that fails is told as a loss, and the next that does not goes on from where it was. A log that was cut or lost
 * behind the last look is a loss that nothing makes good. A process that is frozen between requests hears nothing
 * meanwhile; let it keep no memory.
 */
export class LogCoherence implements Coherence {
  readonly mode = 'log';
  readonly #log: ChangeLog;
  readonly #clock: Clock;
  #sink: CoherenceSink | undefined;
  #timer: Timer | undefined;
  /** The last entry that was heard. Nothing: it is not known where in the log this is. */
  #position: string | undefined;
  #armed = false;
  #closed = false;

  constructor(log: ChangeLog, clock: Clock) {
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
      await this.#hear(sink);
    } catch {
      this.#lose(sink);
    }
    if (this.#closed) return;
    const wait = Math.max(0, lookedAt + everyMs - this.#clock.now());
    this.#timer = this.#clock.setTimeout(() => void this.#look(sink), wait);
  }

  async #hear(sink: CoherenceSink): Promise<void> {
    const position = this.#position;
    const news = position === undefined ? undefined : await this.#log.after(position);
    if (this.#closed) return;
    if (news !== undefined) {
      for (const { id, message } of news) {
        this.#position = id;
        hear(message, sink);
      }
      await this.#log.prolong();
      this.#arm(sink, true);
      return;
    }
    this.#position = undefined;
    this.#lose(sink);
    this.#position = await this.#log.mark();
    this.#arm(sink, false);
  }

  #arm(sink: CoherenceSink, resumed: boolean): void {
    if (this.#armed || this.#closed) return;
    this.#armed = true;
    if (resumed && sink.resumed !== undefined) sink.resumed();
    else sink.armed();
  }

  #lose(sink: CoherenceSink): void {
    if (!this.#armed || this.#closed) return;
    this.#armed = false;
    sink.lost();
  }
}
