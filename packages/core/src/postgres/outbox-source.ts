import { backoffMs } from '../backoff.ts';
import { type Duration, durationMs } from '../duration.ts';
import { ArgumentError, assertKnownOptions, ConfigurationError } from '../errors.ts';
import type { ChangeSink, ChangeSource, SourceLag } from '../ports/change-source.ts';
import { type Clock, systemClock } from '../ports/clock.ts';
import type { SqlExecutor, SqlListener } from '../ports/sql.ts';
import {
  type CursorGlance,
  glanceAtCursor,
  holdCursor,
  moveCursor,
  type OutboxRow,
  openCursor,
  presentPosition,
  readOutbox,
} from './cursor.ts';
import { whileHeld } from './hold.ts';
import { type OutboxRetention, outboxTable, pruneBatch, pruneOutbox } from './outbox.ts';
import { changeOf, isChange } from './outbox-change.ts';
import { Sleeper } from './sleeper.ts';
import { armingHorizonSql, armSql, disarmSql, wakeChannel } from './wake.ts';

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
/** Pause between two looks while writers are known to be about. */
const busyPauseMs = 5;
/** Longest pause while a writer may be about that does not know the source sleeps. */
const watchPauseMs = 250;
/** Empty looks before writers are asked to wake the source, and full ones before they are told not to. */
const hysteresis = 3;
const firstRetryMs = 100;
const lastRetryMs = 5_000;
const pruneEveryMs = 60_000;

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
  return new OutboxSource(given);
}

class OutboxSource implements ChangeSource {
  readonly name: string;
  readonly #sql: SqlExecutor;
  readonly #listener: SqlListener | undefined;
  readonly #outbox: string;
  readonly #table: string;
  readonly #batchSize: number;
  readonly #pollMs: number;
  readonly #takeoverMs: number;
  readonly #retention: OutboxRetention;
  readonly #clock: Clock;
  #sleeper: Sleeper;

  #sink: ChangeSink | undefined;
  #running: Promise<void> | undefined;
  #stopping = false;
  #unlisten: Promise<(() => Promise<void>) | undefined> = Promise.resolve(undefined);
  #offState: (() => void) | undefined;
  #listening = false;

  #failures = 0;
  #fullReads = 0;
  #emptyReads = 0;
  #armed = false;
  /** Transactions with a smaller id may have missed that the source sleeps. */
  #watch: bigint | undefined;
  #watchPauseMs = busyPauseMs;
  #prunedAt: number;

  #delivered = 0;
  #stalledBy: string | undefined;
  /** Age of the oldest undelivered change, and when that was known. */
  #oldest: { ageMs: number; seenAt: number } | undefined;
  #underWaySince: number | undefined;

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
    this.#batchSize = batchSize;
    this.#pollMs = positive(durationMs(given.timing?.poll ?? '250ms', 'timing.poll'), 'timing.poll');
    this.#takeoverMs = positive(
      durationMs(given.timing?.takeover ?? '15s', 'timing.takeover'),
      'timing.takeover',
    );
    this.#retention = given.retention ?? {};
    durationMs(this.#retention.consumed ?? 0, 'retention.consumed');
    durationMs(this.#retention.abandoned ?? 0, 'retention.abandoned');
    this.#clock = given.clock ?? systemClock;
    this.#sleeper = new Sleeper(this.#clock);
    this.#prunedAt = this.#clock.now();
  }

  async start(sink: ChangeSink): Promise<void> {
    if (this.#sink) throw new ArgumentError(`The source "${this.name}" has been started already`);
    this.#sink = sink;
    this.#stopping = false;
    this.#sleeper = new Sleeper(this.#clock);
    try {
      await this.#open();
    } catch (error) {
      this.#sink = undefined;
      throw error;
    }
    if (this.#stopping) return;
    this.#listen();
    this.#running = this.#run();
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
    if (this.#armed) await this.#sql.query(disarmSql, [this.name]).catch(() => undefined);
    this.#armed = false;
  }

  lag(): SourceLag {
    const now = this.#clock.now();
    const oldestMs = this.#oldest ? Math.round(this.#oldest.ageMs + (now - this.#oldest.seenAt)) : 0;
    const underWayMs = this.#underWaySince === undefined ? 0 : now - this.#underWaySince;
    const stalledBy =
      underWayMs > this.#takeoverMs
        ? `a batch that has been under way for ${underWayMs} ms`
        : this.#stalledBy;
    return { delivered: this.#delivered, oldestMs, ...(stalledBy !== undefined && { stalledBy }) };
  }

  /** A database that is away may come back; one without the table, or without the right to it, will not by itself. */
  async #open(): Promise<void> {
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
        this.#sink?.failed?.(error);
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

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        const pauseMs = await this.#step();
        this.#failures = 0;
        if (pauseMs > 0 && !this.#stopping) await this.#sleeper.sleep(pauseMs);
      } catch (error) {
        this.#stalledBy = error instanceof Error ? error.message : String(error);
        if (!(error instanceof SinkFailure)) this.#sink?.failed?.(error);
        // Not cut short by notifications: they say that there is work, not that it will succeed.
        await this.#sleeper.pause(retryMs(this.#failures));
        this.#failures += 1;
      }
    }
  }

  /** One look and, if there is something, one batch. @returns How long to pause before the next. */
  async #step(): Promise<number> {
    await this.#prune();
    if (!this.#sleeper.takeWake()) {
      const glance = await glanceAtCursor(this.#sql, this.name, this.#table);
      if (!glance.known) {
        await openCursor(this.#sql, this.name, this.#outbox, this.#table);
        return 0;
      }
      if (!glance.pending) return this.#idle(glance);
      this.#oldest = { ageMs: glance.ageMs, seenAt: this.#clock.now() };
    }
    const outcome = await this.#deliver();
    if (outcome === 'elsewhere') {
      this.#stalledBy = 'another process that holds the cursor';
      return this.#pollMs;
    }
    if (outcome === 'nothing') return 0;
    this.#delivered += outcome;
    this.#stalledBy = undefined;
    this.#oldest = undefined;
    this.#emptyReads = 0;
    this.#fullReads += 1;
    if (this.#fullReads === hysteresis) {
      await this.#sql.query(disarmSql, [this.name]);
      this.#armed = false;
      this.#watch = undefined;
    }
    return 0;
  }

  /** Nothing to deliver: sees to it that the next writer wakes the source, and says how long to pause. */
  async #idle(glance: CursorGlance): Promise<number> {
    this.#stalledBy = undefined;
    this.#oldest = undefined;
    this.#fullReads = 0;
    this.#emptyReads += 1;
    if (!this.#listening) return this.#pollMs;
    if (!glance.armed) {
      if (this.#emptyReads < hysteresis) return Math.min(busyPauseMs, this.#pollMs);
      await this.#sql.query(armSql, [this.name, this.#outbox]);
      this.#armed = true;
      const { rows } = await this.#sql.query<{ horizon: string }>(armingHorizonSql);
      this.#watch = BigInt(rows[0]?.horizon ?? 0);
      this.#watchPauseMs = busyPauseMs;
      return 0;
    }
    if (this.#watch === undefined) return this.#pollMs;
    if (BigInt(glance.horizon) >= this.#watch) {
      this.#watch = undefined;
      return this.#pollMs;
    }
    this.#watchPauseMs = Math.min(this.#watchPauseMs * 2, watchPauseMs);
    return Math.min(this.#watchPauseMs, this.#pollMs);
  }

  /** A full prune means that there is more: the next step goes on, and deliveries are in between. */
  async #prune(): Promise<void> {
    const now = this.#clock.now();
    if (now - this.#prunedAt < pruneEveryMs) return;
    const pruned = await pruneOutbox(this.#sql, this.#outbox, this.#retention);
    if (pruned < pruneBatch) this.#prunedAt = now;
  }

  /** @returns How many changes were delivered and acknowledged; 0 for a gap. */
  #deliver(): Promise<number | 'nothing' | 'elsewhere'> {
    return this.#sql.transaction(async (transaction) => {
      const held = await holdCursor(transaction, this.name, this.#takeoverMs);
      if (held === undefined) return 'elsewhere';
      if (held.gap !== undefined) {
        const { gap } = held;
        // Only a cursor of another history has no place to go on from; else what is still there is delivered after it.
        const position = gap === 'restored' ? await presentPosition(transaction) : held;
        await this.#holding(transaction, (sink, signal) => sink.gap(gap, signal));
        await moveCursor(transaction, this.name, position, 0);
        return 0;
      }
      const { rows, position } = await readOutbox(transaction, this.#table, held, this.#batchSize);
      const first = rows[0];
      if (first === undefined && position === held) return 'nothing';
      if (first !== undefined) {
        this.#oldest = { ageMs: Math.max(0, Number(first.ageMs)), seenAt: this.#clock.now() };
        await this.#holding(transaction, (sink, signal) => deliverRows(rows, sink, signal));
      }
      await moveCursor(transaction, this.name, position, rows.length);
      return rows.length;
    });
  }

  async #holding(
    transaction: SqlExecutor,
    work: (sink: ChangeSink, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const sink = this.#sink;
    if (sink === undefined) return;
    this.#underWaySince = this.#clock.now();
    try {
      await whileHeld(transaction, this.#takeoverMs / 3, this.#clock, async (signal) => {
        try {
          await work(sink, signal);
        } catch (error) {
          throw new SinkFailure(error);
        }
      });
    } finally {
      this.#underWaySince = undefined;
    }
  }
}

/** Rows that are no change of a row stand for "anything may have happened here" and split the batch. */
async function deliverRows(rows: readonly OutboxRow[], sink: ChangeSink, signal: AbortSignal): Promise<void> {
  let from = 0;
  for (let to = 0; to <= rows.length; to += 1) {
    const row = rows[to];
    if (row !== undefined && isChange(row)) continue;
    if (to > from) await sink.batch(rows.slice(from, to).map(changeOf), signal);
    if (row !== undefined) await sink.gap('source', signal);
    from = to + 1;
  }
}

/** The sink knows its own error already; it is not reported to it once more. */
class SinkFailure extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
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
