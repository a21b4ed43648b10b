import type { Clock, SqlExecutor, SqlResult, Timer } from '@cachekit/core';
import type { Host } from './host.ts';

/** Shorter statements are not talked of. */
const patienceMs = 2_000;
/** How often a line is told where it cannot be written over. */
const lineMs = 10_000;
const stepMs = 500;
const longestLine = 100;

/** Tells what takes long while it does: the statement the server runs, for how long, and how far the work is. */
export class Progress {
  readonly #host: Host;
  readonly #clock: Clock;
  #step = '';
  #statement = '';
  #since = 0;
  #told = 0;
  #shown = false;
  #timer: Timer | undefined;

  constructor(host: Host, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  /** Says which part of the work begins, such as `2 of 5 mv_calls`. */
  step(text: string): void {
    this.#step = text;
  }

  /** The same executor, whose statements are watched. */
  watch(sql: SqlExecutor): SqlExecutor {
    return {
      query: <Row>(text: string, parameters?: readonly unknown[]): Promise<SqlResult<Row>> =>
        this.#during(text, sql.query<Row>(text, parameters)),
      transaction: <T>(run: (transaction: SqlExecutor) => Promise<T>): Promise<T> =>
        sql.transaction((transaction) => run(this.watch(transaction))),
    };
  }

  /** Takes away what is shown. */
  end(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#shown) this.#host.tell('\r\u001b[K');
    this.#shown = false;
  }

  async #during<T>(statement: string, work: Promise<T>): Promise<T> {
    this.#statement = statement;
    this.#since = this.#clock.now();
    this.#told = this.#since;
    this.#wait();
    try {
      return await work;
    } finally {
      this.end();
    }
  }

  #wait(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#tell();
      this.#wait();
    }, stepMs);
  }

  #tell(): void {
    const now = this.#clock.now();
    const ms = now - this.#since;
    if (ms < patienceMs) return;
    const seconds = `${Math.round(ms / 1000)} s`;
    const statement = this.#statement.replaceAll(/\s+/g, ' ').trim();
    const line = [this.#step, seconds, statement].filter((part) => part !== '').join('  ');
    const short = line.length > longestLine ? `${line.slice(0, longestLine - 1)}…` : line;
    if (this.#host.terminal) {
      this.#host.tell(`\r\u001b[K${short}`);
      this.#shown = true;
    } else if (now - this.#told >= lineMs || this.#told === this.#since) {
      this.#host.tell(`${short}\n`);
      this.#told = now;
    }
  }
}
