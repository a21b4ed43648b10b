import type { ChangeBatch, GapReason } from '../ports/change-source.ts';
import type { TierClock } from '../ports/remote-tier.ts';

/** What the stages of one batch share. */
export interface ChangeContext {
  /** Name of the source of the batch. */
  readonly source: string;
  /**
   * Clock of the invalidation that belongs to the batch. Set by the invalidate stage, read by whoever publishes: a
   * value whose load began at or before it may be older than the change.
   */
  clock?: TierClock;
  /** Set when changes may have been missed: the batch is then empty and stands for everything of every tenant. */
  readonly gap?: GapReason;
  /** Aborts when the batch is no longer this process's to deliver, or the stage has outlasted its time. */
  readonly signal: AbortSignal;
}

/**
 * One step of what happens to every batch.
 *
 * Resolves when it is done with the whole batch. When it rejects, no later stage sees the batch, and the batch comes
 * again from the first stage on, so a stage may see the same change twice (with the same `sequence`).
 */
export interface Stage {
  (batch: ChangeBatch, context: ChangeContext): Promise<void>;
  /** `invalidate`: the pipeline refuses to run it after a stage that is none. */
  readonly role?: 'invalidate';
}
