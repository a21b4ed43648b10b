/** How soon after a change a view is refreshed. */
export interface Pace {
  /** A refresh waits until no mark came for this long, */
  readonly debounceMs: number;
  /** but never longer than this after the first mark. */
  readonly maxWaitMs: number;
  /**
   * The first change after a rest is refreshed at once, and `debounceMs` is the pause between refreshes. For refreshes
   * that cost what changed, so that waiting for more saves little.
   */
  readonly leading?: boolean;
}

/** A refresh that costs what changed takes at most a 25th of the time, unless `maxWaitMs` asks for more. */
const restPerRun = 24;

/** Ages of the marks of a view that wait, by the database's clock. */
export interface WaitingMarks {
  readonly oldestMs: number;
  readonly newestMs: number;
  /** What is left of the pause after a failure, in any process. */
  readonly backOffMs?: number;
}

/** What is known of the last refresh of a view in this process. */
export interface LastRun {
  readonly tookMs: number;
  /** Rest that was owed when it ended, see {@link owedAfter}. */
  readonly owedMs: number;
  readonly endedMsAgo: number;
}

/**
 * Milliseconds until a dirty view is to be refreshed; 0: now.
 *
 * After a refresh the view rests for as long as the refresh took, so that under constant writes at most half of the
 * time goes into refreshing, unless `maxWaitMs` asks for more.
 */
export function msUntilDue(marks: WaitingMarks, pace: Pace, last: LastRun | undefined): number {
  if (pace.leading === true)
    return Math.max(0, Math.min(restOf(pace, last), pace.maxWaitMs - marks.oldestMs));
  const quiet = pace.debounceMs - marks.newestMs;
  const rest = last === undefined ? 0 : last.tookMs - last.endedMsAgo;
  const latest = pace.maxWaitMs - marks.oldestMs;
  return Math.max(0, Math.min(Math.max(quiet, rest), latest));
}

/** Milliseconds in which a view is not refreshed, whatever is marked; 0: that depends on the marks. */
export function msOfRest(pace: Pace, last: LastRun | undefined): number {
  if (pace.leading !== true || last === undefined) return 0;
  return Math.max(0, Math.min(restOf(pace, last), pace.maxWaitMs - last.endedMsAgo));
}

function restOf(pace: Pace, last: LastRun | undefined): number {
  return last === undefined ? 0 : Math.max(pace.debounceMs, last.owedMs - pace.maxWaitMs) - last.endedMsAgo;
}

/**
 * Milliseconds of rest that are owed after a refresh, with what was left from before. Up to `maxWaitMs` of it may stay owed:
 * one refresh that was slow by chance delays nothing, while constant writes pay for each. More than that is not carried on, so
 * slow refreshes are forgotten with the first fast one.
 */
export function owedAfter(before: LastRun | undefined, tookMs: number, pace: Pace): number {
  const left = before === undefined ? 0 : Math.max(0, before.owedMs - before.endedMsAgo);
  return Math.min(left, pace.maxWaitMs) + tookMs * restPerRun;
}

const firstRetryMs = 500;
const lastRetryMs = 60_000;

/** Pause after so many failures in a row: doubles from half a second to a minute. */
export function retryMs(failures: number): number {
  return Math.min(lastRetryMs, firstRetryMs * 2 ** Math.min(failures - 1, 20));
}
