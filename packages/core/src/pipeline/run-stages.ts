import type { ChangeBatch, GapReason } from '../ports/change-source.ts';
import type { Clock } from '../ports/clock.ts';
import type { ChangeContext, Stage } from './stage.ts';

/** A stage that failed: its position from 0, and what it rejected with. */
export interface StageFailure {
  readonly stage: number;
  readonly error: unknown;
}

/** What the stages are run with. */
export interface StageRun {
  readonly source: string;
  readonly gap?: GapReason;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Runs the stages over one batch: each begins when the one before has resolved, the first failure ends the run.
 *
 * The one place that knows the order, and with it invariant I1: nothing is published before it is invalidated.
 */
export async function runStages(
  stages: readonly Stage[],
  batch: ChangeBatch,
  run: StageRun,
): Promise<StageFailure | undefined> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(run.signal?.reason);
  if (run.signal?.aborted) abort();
  run.signal?.addEventListener('abort', abort, { once: true });
  const context: ChangeContext = {
    source: run.source,
    signal: controller.signal,
    ...(run.gap !== undefined && { gap: run.gap }),
  };
  try {
    for (const [index, stage] of stages.entries()) {
      try {
        await settles(stage(batch, context), controller, run);
      } catch (error) {
        return { stage: index, error };
      }
    }
    return undefined;
  } finally {
    run.signal?.removeEventListener('abort', abort);
  }
}

/** Waits for the stage, but not for one that neither ends in time nor cares that the batch was taken away. */
function settles(stage: Promise<void>, controller: AbortController, run: StageRun): Promise<void> {
  const { signal } = controller;
  return new Promise((resolve, reject) => {
    const timer = run.clock.setTimeout(
      () => controller.abort(new Error(`The stage did not end within ${run.timeoutMs} ms`)),
      run.timeoutMs,
    );
    const aborted = (): void => reject(signal.reason);
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
    stage.then(resolve, reject).finally(() => {
      run.clock.clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
    });
  });
}
