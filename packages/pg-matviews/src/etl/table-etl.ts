import {
  ArgumentError,
  assertKnownOptions,
  ConfigurationError,
  type Duration,
  durationMs,
  systemClock,
} from '@cachekit/core';
import { Listeners } from '../listeners.ts';
import { Alarm } from '../refresh/alarm.ts';
import { retryMs } from '../refresh/due.ts';
import { columnsOf } from './columns.ts';
import { type CompareOutcome, compare, type Depth } from './compare.ts';
import { type CheckedEtl, checkedEtl } from './definition.ts';
import type { Etl, EtlComparison, EtlOptions, EtlResult } from './etl.ts';
import type { EtlEvents, EtlRisk, EtlRun } from './events.ts';
import { type EtlContext, type PieceOutcome, runPiece } from './run.ts';
import { installSlot, uninstallSlot } from './slot/publication.ts';
import { SlotUnavailable } from './slot/slot.ts';
import { installState, storeFailure } from './state.ts';
import { type EtlStatus, readEtlStatus } from './status.ts';
import { targetTableSql } from './target-table.ts';

/** Pause before a turn is asked for again that another process has. */
const busyPauseMs = 50;

/** Another process has the turn. */
class Busy extends Error {}

/** {@link Etl} over two executors. */
export class TableEtl implements Etl {
  readonly #etl: CheckedEtl;
  readonly #context: EtlContext;
  readonly #everyMs: number;
  readonly #checkMs: Readonly<Record<Depth, number>>;
  readonly #listeners = new Listeners<EtlEvents>();
  readonly #alarm: Alarm;
  #risks = '[]';
  #looping: Promise<void> | undefined;
  #stopping = false;

  constructor(options: EtlOptions) {
    const { maxRows = 200_000, clock = systemClock } = options;
    assertKnownOptions('createEtl: reconcile', options.reconcile ?? {}, ['keys', 'rows']);
    if (!Number.isInteger(maxRows) || maxRows < 1) {
      throw new ConfigurationError('createEtl: maxRows is an integer >= 1');
    }
    this.#etl = checkedEtl(options);
    this.#everyMs = positive(options.every ?? '1m', 'every');
    this.#checkMs = {
      keys: orNever(options.reconcile?.keys ?? '1h', 'reconcile.keys'),
      rows: orNever(options.reconcile?.rows ?? '1d', 'reconcile.rows'),
    };
    this.#context = {
      etl: this.#etl,
      remote: options.remote,
      local: options.local,
      clock,
      timeoutMs: positive(options.timeout ?? '30m', 'timeout'),
      maxRows,
    };
    this.#alarm = new Alarm(clock);
  }

  async install(): Promise<void> {
    const { local, remote, timeoutMs } = this.#context;
    const etl = this.#etl;
    await installState(local, etl);
    if (etl.slot !== undefined) await installSlot(remote, etl, etl.slot, timeoutMs);
    if ((await columnsOf(local, etl.to)).length === 0) await local.query(await this.script());
    const { rowCount } = await local.query(
      `SELECT FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
       WHERE x.indrelid = to_regclass($1) AND a.attname = $2 AND x.indisunique AND x.indisvalid AND x.indimmediate
         AND x.indnkeyatts = 1 AND x.indpred IS NULL AND x.indexprs IS NULL`,
      [etl.to, etl.key],
    );
    if (rowCount === 0) {
      throw new ConfigurationError(`The local ${etl.to} needs a unique index on "${etl.key}" alone`);
    }
  }

  script(): Promise<string> {
    return targetTableSql(this.#context.remote, this.#etl);
  }

  async dropSlot(): Promise<void> {
    const { slot } = this.#etl;
    if (slot !== undefined) await uninstallSlot(this.#context.remote, slot);
  }

  run(): Promise<EtlResult> {
    return this.#noted(() => this.#whole());
  }

  reconcile(depth: Depth): Promise<EtlComparison> {
    if (depth !== 'keys' && depth !== 'rows') throw new ArgumentError('reconcile takes "keys" or "rows"');
    return this.#noted(async () => {
      await this.#whole();
      return this.#compared(depth);
    });
  }

  start(): void {
    if (this.#looping !== undefined) throw new ArgumentError('The copy has been started already');
    this.#looping = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#alarm.end();
    await this.#looping;
  }

  async status(): Promise<EtlStatus> {
    const status = await readEtlStatus(this.#context.local, this.#etl.name, this.#etl.to);
    if (status === undefined) {
      throw new ConfigurationError(`The copy "${this.#etl.name}" was never installed in this database`);
    }
    return status;
  }

  on<Name extends keyof EtlEvents>(name: Name, listener: EtlEvents[Name]): void {
    this.#listeners.on(name, listener);
  }

  off<Name extends keyof EtlEvents>(name: Name, listener: EtlEvents[Name]): void {
    this.#listeners.off(name, listener);
  }

  async #loop(): Promise<void> {
    let failures = 0;
    while (!this.#stopping) {
      let sleepMs = this.#everyMs;
      try {
        await this.#whole();
        for (const depth of ['keys', 'rows'] as const) {
          if (!this.#stopping && (await this.#due(depth))) await this.#compared(depth);
        }
        failures = 0;
      } catch (error) {
        if (this.#stopping && error instanceof Busy) break;
        failures += 1;
        sleepMs = Math.min(retryMs(failures), Math.max(this.#everyMs, retryMs(1)));
        await this.#failed(error, failures, sleepMs);
      }
      await this.#alarm.sleep(sleepMs);
    }
  }

  async #due(depth: Depth): Promise<boolean> {
    const { keysCheckedAt, rowsCheckedAt, freshAsOf, lagMs } = await this.status();
    if (freshAsOf === undefined || lagMs === undefined) return false;
    const last = depth === 'keys' ? keysCheckedAt : rowsCheckedAt;
    return freshAsOf + lagMs - (last ?? 0) >= this.#checkMs[depth];
  }

  /** Piece by piece until the run is complete. */
  async #whole(): Promise<EtlResult> {
    const total = { read: 0, inserted: 0, updated: 0, deleted: 0, durationMs: 0 };
    for (;;) {
      const { run, risks, gap } = await this.#turn<PieceOutcome>(() => runPiece(this.#context));
      if (gap !== undefined) this.#listeners.emit('gap', { etl: run.etl, reason: gap });
      this.#tell(run, risks);
      for (const name of ['read', 'inserted', 'updated', 'deleted', 'durationMs'] as const)
        total[name] += run[name];
      if (run.complete) return total;
    }
  }

  async #compared(depth: Depth): Promise<EtlComparison> {
    const { run, risks, missing, surplus, different } = await this.#turn<CompareOutcome>(() =>
      compare(this.#context, depth),
    );
    this.#tell(run, risks);
    const { read, inserted, updated, deleted, durationMs } = run;
    return { read, inserted, updated, deleted, durationMs, missing, surplus, different };
  }

  /** Waits until no other process has the turn. */
  async #turn<Outcome extends { state: 'busy' | 'done' }>(
    take: () => Promise<Outcome>,
  ): Promise<Extract<Outcome, { state: 'done' }>> {
    const { clock, timeoutMs } = this.#context;
    const until = clock.now() + timeoutMs;
    for (;;) {
      const outcome = await take();
      if (outcome.state === 'done') return outcome as Extract<Outcome, { state: 'done' }>;
      if (clock.now() > until || this.#stopping) {
        throw new Busy(`Another process copies "${this.#etl.name}"`);
      }
      await new Promise<void>((resolve) => {
        clock.setTimeout(resolve, busyPauseMs);
      });
    }
  }

  async #noted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.#failed(error, 1, undefined);
      throw error;
    }
  }

  async #failed(error: unknown, failures: number, retryInMs: number | undefined): Promise<void> {
    const { local } = this.#context;
    const { name } = this.#etl;
    const risks: EtlRisk[] | undefined =
      error instanceof SlotUnavailable ? [{ reason: 'SLOT_UNAVAILABLE', detail: error.message }] : undefined;
    await storeFailure(local, name, error, risks).catch(() => undefined);
    if (risks !== undefined) this.#tellRisks(risks);
    this.#listeners.emit('failed', { etl: name, error, failures, retryInMs });
  }

  #tell(run: EtlRun, risks: readonly EtlRisk[]): void {
    this.#listeners.emit('run', run);
    this.#tellRisks(risks);
  }

  #tellRisks(risks: readonly EtlRisk[]): void {
    const now = JSON.stringify(risks);
    if (now === this.#risks) return;
    this.#risks = now;
    this.#listeners.emit('risks', { etl: this.#etl.name, risks });
  }
}

function positive(duration: Duration, name: string): number {
  const ms = durationMs(duration, name);
  if (ms > 0) return ms;
  throw new ConfigurationError(`${name} is more than 0`);
}

function orNever(duration: Duration | false, name: string): number {
  return duration === false ? Number.POSITIVE_INFINITY : positive(duration, name);
}
