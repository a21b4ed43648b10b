import { backoffMs } from '../async/backoff.ts';
import { type Duration, durationMs } from '../duration.ts';
import { ArgumentError, assertKnownOptions, ConfigurationError } from '../errors.ts';
import type { ChangeSink, ChangeSource, SourceLag } from '../ports/change-source.ts';
import { type Clock, systemClock } from '../ports/clock.ts';
import type { SqlExecutor, SqlListener } from '../ports/sql.ts';
import { glanceAtCursor, openCursor } from './cursor.ts';
import { DeliveryProgress } from './delivery-progress.ts';
import { type OutboxRetention, outboxTable } from './outbox.ts';
import { type Delivery, type DeliveryOutcome, deliverNext, SinkFailure } from './outbox-delivery.ts';
import { OutboxPruning } from './outbox-pruning.ts';
import { SleepProtocol } from './sleep-protocol.ts';
import { Sleeper } from './sleeper.ts';
import { wakeChannel } from './wake.ts';

/** Options of {@link outboxSource}. */
export interface OutboxSourceOptions {
  readonly sql: SqlExecutor;
  /** Wakes the source within milliseconds of a commit. Without it the source only polls. */
  readonly listener?: SqlListener | undefined;
  /** Name of the outbox, as given to `installOutbox`. */
  readonly outbox: string;
  /**
   * Name of the consumer: one cursor, and of all processes that use it one delivers at a time.
   * @defaultValue the name of the outbox
   */
  readonly name?: string | undefined;
  /**
   * Most changes in one batch.
   * @defaultValue 200
   */
  readonly batchSize?: number | undefined;
  readonly timing?: {
    /**
     * Time between two looks at the outbox while nothing wakes the source; bounds how late a change can be.
     * @defaultValue `'250ms'`
     */
    readonly poll?: Duration;
    /**
     * How long the cursor stays with a process that holds it and has stopped answering, before another may have it.
     * @defaultValue `'15s'`
     */
    readonly takeover?: Duration;
  };
  readonly retention?: OutboxRetention;
  readonly clock?: Clock | undefined;
}

const options = ['sql', 'listener', 'outbox', 'name', 'batchSize', 'timing', 'retention', 'clock'];
const firstRetryMs = 100;
const lastRetryMs = 5_000;

/**
 * Delivers the rows of an outbox as changes, from a cursor in the database.
 *
 * - Every committed row once while the process lives; at least once over crashes (the same `sequence` again). Rows of
 *   a transaction that rolled back, or of a savepoint that did, never.
 * - In the order in which they were written as far as one row of a table is concerned. A transaction that runs long
 *   delays nothing but its own rows.
 * - At its first start it begins with the present: what is committed after `start` resolved is delivered, and what the
 *   outbox already holds is not replayed but reported as the gap `started`. It reports `restored` when the database is
 *   not the one the cursor was made in (another cluster, a recovery to a point in time, a failover), `trimmed` when
 *   rows were removed before they were delivered, and `source` for a TRUNCATE, in its place between the changes before
 *   and after it.
 * - One connection of the pool is in use while a batch is delivered, inside a transaction that holds the cursor's row.
 *   When it dies or is taken away the signal of the batch aborts, and the batch is delivered again by whoever holds
 *   the cursor next.
 *
 * Latency with a listener: a few milliseconds after the commit, also behind an idle period; else within
 * `timing.poll`. An idle source costs one small read per `timing.poll`.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, a name that is none, or a batch size that
 * is no whole number from 1 to 10000; from `start` if the outbox is not installed or the name belongs to another.
 * @example
 * const source = outboxSource({ sql: pgExecutor(pool), listener, outbox: 'change' });
 * await source.start({ batch: async (changes) => console.log(changes), gap: async (reason) => console.log(reason) });
 */
export function outboxSource(given: OutboxSourceOptions): ChangeSource {
  assertKnownOptions('outboxSource', given, options);
  assertKnownOptions('outboxSource: timing', given.timing ?? {}, ['poll', 'takeover']);
  assertKnownOptions('outboxSource: retention', given.retention ?? {}, ['consumed', 'abandoned']);
  if (typeof given.sql?.transaction !== 'function') {
    throw new ConfigurationError('outboxSource: sql is an SqlExecutor, such as pgExecutor(pool)');
  }
  if (given.sql.lacks?.includes('sessions') === true) {
    throw new ConfigurationError(
      'outboxSource: while a batch is delivered it keeps a session, and this database has one only',
    );
  }
  return new OutboxSource(given);
}

class OutboxSource implements ChangeSource {
  readonly name: string;
  readonly #sql: SqlExecutor;
  readonly #listener: SqlListener | undefined;
  readonly #outbox: string;
  readonly #table: string;
  readonly #pollMs: number;
  readonly #delivery: Delivery;
  readonly #protocol: SleepProtocol;
  readonly #pruning: OutboxPruning;
  readonly #progress: DeliveryProgress;
  readonly #clock: Clock;
  #sleeper: Sleeper;

  #sink: ChangeSink | undefined;
  #running: Promise<void> | undefined;
  #stopping = false;
  #unlisten: Promise<(() => Promise<void>) | undefined> = Promise.resolve(undefined);
  #offState: (() => void) | undefined;
  #listening = false;

  #failures = 0;

  constructor(given: OutboxSourceOptions) {
    const { batchSize = 200, name = given.outbox } = given;
    if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > 10_000) {
      throw new ConfigurationError('outboxSource: batchSize is a whole number from 1 to 10000');
    }
    if (typeof name !== 'string' || name === '' || name.length > 128 || name.includes('\0')) {
      throw new ConfigurationError('outboxSource: name is text of 1 to 128 characters');
    }
    this.#table = tableOf(given.outbox);
    this.#outbox = given.outbox;
    this.name = name;
    this.#sql = given.sql;
    this.#listener = given.listener;
    this.#pollMs = positive(durationMs(given.timing?.poll ?? '250ms', 'timing.poll'), 'timing.poll');
    const takeoverMs = positive(
      durationMs(given.timing?.takeover ?? '15s', 'timing.takeover'),
      'timing.takeover',
    );
    this.#clock = given.clock ?? systemClock;
    this.#sleeper = new Sleeper(this.#clock);
    this.#pruning = new OutboxPruning(given.sql, given.outbox, given.retention ?? {}, this.#clock);
    this.#progress = new DeliveryProgress(this.#clock, takeoverMs);
    this.#protocol = new SleepProtocol(given.sql, name, given.outbox, this.#pollMs);
    this.#delivery = {
      name,
      table: this.#table,
      batchSize,
      takeoverMs,
      clock: this.#clock,
      began: (oldestMs) => this.#progress.began(oldestMs),
    };
  }

  async start(sink: ChangeSink): Promise<void> {
    if (this.#sink) throw new ArgumentError(`The source "${this.name}" has been started already`);
    this.#sink = sink;
    this.#stopping = false;
    this.#sleeper = new Sleeper(this.#clock);
    try {
      await this.#open(sink);
    } catch (error) {
      this.#sink = undefined;
      throw error;
    }
    if (this.#stopping) return;
    this.#listen();
    this.#running = this.#run(sink);
  }

  async stop(): Promise<void> {
    if (!this.#sink) return;
    this.#stopping = true;
    this.#sleeper.end();
    await this.#running;
    this.#running = undefined;
    this.#sink = undefined;
    this.#offState?.();
    this.#listening = false;
    const unlisten = await Promise.race([this.#unlisten, Promise.resolve(undefined)]);
    await unlisten?.();
    await this.#protocol.end();
  }

  lag(): SourceLag {
    return this.#progress.lag();
  }

  /** A database that is away may come back; one without the table, or without the right to it, will not by itself. */
  async #open(sink: ChangeSink): Promise<void> {
    for (let attempt = 0; !this.#stopping; attempt += 1) {
      try {
        await openCursor(this.#sql, this.name, this.#outbox, this.#table);
        return;
      } catch (error) {
        const state = sqlState(error);
        if (state === '42P01' || state === '3F000') {
          throw new ConfigurationError(
            `The outbox ${this.#table} does not exist; create it with installOutbox, or with what writes to it`,
          );
        }
        if (error instanceof ConfigurationError || state?.startsWith('42')) throw error;
        sink.failed?.(error);
        await this.#sleeper.pause(retryMs(attempt));
      }
    }
  }

  #listen(): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    const sleeper = this.#sleeper;
    this.#offState = listener.onState((state) => {
      this.#listening = state === 'ready';
      if (state === 'ready') sleeper.wake();
    });
    this.#unlisten = listener
      .listen(wakeChannel(this.#outbox), () => sleeper.wake())
      .then(
        async (unlisten) => {
          if (sleeper !== this.#sleeper || this.#stopping) {
            await unlisten();
            return undefined;
          }
          this.#listening = true;
          sleeper.wake();
          return unlisten;
        },
        () => undefined,
      );
  }

  async #run(sink: ChangeSink): Promise<void> {
    while (!this.#stopping) {
      try {
        const pauseMs = await this.#step(sink);
        this.#failures = 0;
        if (pauseMs > 0 && !this.#stopping) await this.#sleeper.sleep(pauseMs);
      } catch (error) {
        this.#progress.stalled(error instanceof Error ? error.message : String(error));
        if (!(error instanceof SinkFailure)) sink.failed?.(error);
        // Not cut short by notifications: they say that there is work, not that it will succeed.
        await this.#sleeper.pause(retryMs(this.#failures));
        this.#failures += 1;
      }
    }
  }

  /** One look and, if there is something, one batch. @returns How long to pause before the next. */
  async #step(sink: ChangeSink): Promise<number> {
    await this.#pruning.step(sink);
    if (!this.#sleeper.takeWake()) {
      const glance = await glanceAtCursor(this.#sql, this.name, this.#table);
      if (!glance.known) {
        await openCursor(this.#sql, this.name, this.#outbox, this.#table);
        return 0;
      }
      if (!glance.pending) {
        this.#progress.caughtUp();
        return this.#protocol.empty(glance, this.#listening);
      }
      this.#progress.saw(glance.ageMs);
    }
    const outcome = await this.#deliver(sink);
    if (outcome === 'elsewhere') {
      this.#progress.stalled('another process that holds the cursor');
      return this.#pollMs;
    }
    if (outcome === 'nothing') return 0;
    this.#progress.delivered(outcome);
    await this.#protocol.full();
    return 0;
  }

  async #deliver(sink: ChangeSink): Promise<DeliveryOutcome> {
    try {
      return await deliverNext(this.#sql, this.#delivery, sink);
    } finally {
      this.#progress.ended();
    }
  }
}

function retryMs(attempt: number): number {
  return backoffMs(attempt, firstRetryMs, lastRetryMs, () => 1);
}

function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

function tableOf(outbox: string): string {
  try {
    return outboxTable(outbox);
  } catch (error) {
    throw new ConfigurationError(`outboxSource: ${(error as Error).message}`);
  }
}

function positive(ms: number, name: string): number {
  if (ms > 0) return ms;
  throw new ConfigurationError(`outboxSource: ${name} is more than 0`);
}
