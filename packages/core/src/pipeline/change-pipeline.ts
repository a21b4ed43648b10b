import { type Duration, durationMs } from '../duration.ts';
import { ArgumentError, assertKnownOptions, ConfigurationError } from '../errors.ts';
import { Events } from '../events.ts';
import type { ChangeBatch, ChangeSource, GapReason, SourceLag } from '../ports/change-source.ts';
import { type Clock, systemClock } from '../ports/clock.ts';
import { runStages } from './run-stages.ts';
import type { Stage } from './stage.ts';

/** Options of {@link createChangePipeline}. */
export interface ChangePipelineOptions {
  /** Where changes come from. Each keeps its own order; two of them run independently of each other. */
  readonly sources: readonly ChangeSource[];
  /** What happens to every batch, in this order. Invalidation comes first. */
  readonly stages: readonly Stage[];
  /**
   * How long one stage may take for one batch before it counts as failed.
   * @defaultValue `'30s'`
   */
  readonly timeout?: Duration;
  readonly clock?: Clock;
}

/** What a pipeline tells, by name of the event. */
export interface ChangePipelineEvents {
  /** A batch went through all stages. `oldestMs` is the age of its oldest change when it was done, by two clocks. */
  delivered: {
    readonly source: string;
    readonly changes: number;
    readonly tookMs: number;
    readonly oldestMs: number;
  };
  /** Changes may have been missed; all stages have seen it. */
  gap: { readonly source: string; readonly reason: GapReason };
  /** A stage rejected; `stage` is its position from 0, `failures` how many in a row. The batch comes again. */
  stageFailed: {
    readonly source: string;
    readonly stage: number;
    readonly failures: number;
    readonly error: unknown;
  };
  /** A source cannot read; it tries again by itself. */
  sourceFailed: { readonly source: string; readonly error: unknown };
}

/** A function that is called with every event of one name. */
export type ChangePipelineListener<Name extends keyof ChangePipelineEvents> = (
  event: ChangePipelineEvents[Name],
) => void;

/** Changes on their way from the database to the cache and the clients. */
export interface ChangePipeline {
  /** Resolves when every source watches. If one cannot, the others are stopped and its error passes unchanged. */
  start(): Promise<void>;
  /** Resolves when the batches under way have ended; nothing is delivered after that. */
  stop(): Promise<void>;
  /** How far each source is behind, by its name. */
  lag(): Readonly<Record<string, SourceLag>>;
  /** Calls `listener` at every event of that name. */
  on<Name extends keyof ChangePipelineEvents>(name: Name, listener: ChangePipelineListener<Name>): void;
  /** Ends what `on` began with the same listener. */
  off<Name extends keyof ChangePipelineEvents>(name: Name, listener: ChangePipelineListener<Name>): void;
}

/**
 * Takes every committed change through the same stages in the same order, and acknowledges it after the last.
 *
 * Per source, one batch at a time: a stage begins when the one before has resolved, the next batch when the last
 * stage has. A batch is never skipped: when a stage rejects or outlasts `timeout`, the source keeps its place and
 * delivers again from the first stage on, after a pause that grows to seconds, until it succeeds or the pipeline is
 * stopped; events and `lag()` show it. When a source may have missed changes, the stages run with an empty batch and
 * `context.gap`. Of all processes that run the same source, one at a time delivers.
 *
 * Because invalidation is a stage before publication, a client that refetches on an event never gets the value from
 * before the change out of the cache.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, no source or no stage, two sources of the
 * same name, or an invalidate stage behind another one.
 * @example
 * const pipeline = createChangePipeline({
 *   sources: [changeSource({ sql, listener }), refreshSource({ sql, listener })],
 *   stages: [invalidateStage(cache, tagsOf), publishStage(hub, derive)],
 * });
 * pipeline.on('stageFailed', ({ source, error }) => console.error(source, error));
 * await pipeline.start();
 */
export function createChangePipeline(options: ChangePipelineOptions): ChangePipeline {
  assertKnownOptions('createChangePipeline', options, ['sources', 'stages', 'timeout', 'clock']);
  const { sources, stages } = options;
  if (!Array.isArray(sources) || sources.length === 0 || !Array.isArray(stages) || stages.length === 0) {
    throw new ConfigurationError('createChangePipeline takes at least one source and one stage');
  }
  const names = sources.map((source) => source.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new ConfigurationError(`createChangePipeline: two sources are named "${twice}"`);
  }
  const firstOther = stages.findIndex((stage) => stage.role !== 'invalidate');
  if (firstOther >= 0 && stages.slice(firstOther).some((stage) => stage.role === 'invalidate')) {
    throw new ConfigurationError(
      'createChangePipeline: an invalidate stage comes before all others, or clients would refetch the old value',
    );
  }
  const timeoutMs = durationMs(options.timeout ?? '30s', 'timeout');
  if (timeoutMs === 0) throw new ConfigurationError('createChangePipeline: timeout is more than 0');
  return new Pipeline(sources, stages, timeoutMs, options.clock ?? systemClock);
}

class Pipeline implements ChangePipeline {
  readonly #sources: readonly ChangeSource[];
  readonly #stages: readonly Stage[];
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #events = new Events<ChangePipelineEvents>();
  /** Failures in a row, by source. */
  readonly #failures = new Map<string, number>();
  #started = false;

  constructor(sources: readonly ChangeSource[], stages: readonly Stage[], timeoutMs: number, clock: Clock) {
    this.#sources = [...sources];
    this.#stages = [...stages];
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    if (this.#started) throw new ArgumentError('The pipeline has been started already');
    this.#started = true;
    const starts = await Promise.allSettled(this.#sources.map((source) => this.#startSource(source)));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed === undefined) return;
    await this.stop();
    throw failed.reason;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.stop()));
    this.#started = false;
  }

  lag(): Readonly<Record<string, SourceLag>> {
    return Object.fromEntries(this.#sources.map((source) => [source.name, source.lag()]));
  }

  on<Name extends keyof ChangePipelineEvents>(name: Name, listener: ChangePipelineListener<Name>): void {
    this.#events.on(name, listener);
  }

  off<Name extends keyof ChangePipelineEvents>(name: Name, listener: ChangePipelineListener<Name>): void {
    this.#events.off(name, listener);
  }

  #startSource(source: ChangeSource): Promise<void> {
    return source.start({
      batch: (changes, signal) => this.#run(source.name, changes, signal),
      gap: (reason, signal) => this.#run(source.name, [], signal, reason),
      failed: (error) => this.#events.emit('sourceFailed', { source: source.name, error }),
    });
  }

  async #run(
    source: string,
    batch: ChangeBatch,
    signal: AbortSignal | undefined,
    gap?: GapReason,
  ): Promise<void> {
    const beganAt = this.#clock.now();
    const failure = await runStages(this.#stages, batch, {
      source,
      signal,
      timeoutMs: this.#timeoutMs,
      clock: this.#clock,
      ...(gap !== undefined && { gap }),
    });
    if (failure) {
      const failures = (this.#failures.get(source) ?? 0) + 1;
      this.#failures.set(source, failures);
      this.#events.emit('stageFailed', { source, failures, ...failure });
      throw failure.error;
    }
    this.#failures.delete(source);
    if (gap !== undefined) {
      this.#events.emit('gap', { source, reason: gap });
      return;
    }
    const now = this.#clock.now();
    const changes = batch.length;
    this.#events.emit('delivered', {
      source,
      changes,
      tookMs: now - beganAt,
      oldestMs: now - oldestAt(batch, now),
    });
  }
}

function oldestAt(batch: ChangeBatch, now: number): number {
  let oldest = now;
  for (const change of batch) oldest = Math.min(oldest, change.at);
  return oldest;
}
