/** One request as it was seen from outside: it was decided at some instant between these two. */
export interface Seen {
  readonly sent: number;
  readonly answered: number;
  readonly allowed: boolean;
}

/** How often a limiter was wrong, in percent of its requests, given whom it let pass itself. */
export interface Accuracy {
  readonly wrongAllow: number;
  readonly wrongDeny: number;
  /** The most that passed within any window, to the limit. */
  readonly most: number;
}

/** What cannot be told apart: scheduling of the processes on the machine. */
const toleranceMs = 12;

/** Never more than `limit` within a window. */
export function strictAccuracy(seen: readonly Seen[], limit: number, windowMs: number): Accuracy {
  const passed: Seen[] = [];
  const allowed = seen.filter((each) => each.allowed);
  let wrongAllow = 0;
  let wrongDeny = 0;
  for (const each of inOrder(seen)) {
    if (each.allowed) {
      const surely = passed.filter(({ sent }) => sent > each.answered - windowMs + toleranceMs).length;
      if (surely >= limit) wrongAllow++;
      passed.push(each);
    } else {
      // All that may have been decided before it, those that were under way at the same time as well.
      const since = each.sent - windowMs - toleranceMs;
      const atMost = allowed.filter(({ sent, answered }) => answered > since && sent < each.answered).length;
      if (atMost < limit) wrongDeny++;
    }
  }
  return percent(seen, wrongAllow, wrongDeny, mostWithin(passed, windowMs) / limit);
}

/** A bucket of `limit` tokens, filled at `limit` per window. */
export function bucketAccuracy(seen: readonly Seen[], limit: number, windowMs: number): Accuracy {
  const perMs = limit / windowMs;
  const passed: Seen[] = [];
  let level = limit;
  let at = Number.NEGATIVE_INFINITY;
  let wrongAllow = 0;
  let wrongDeny = 0;
  const allowed = seen.filter((each) => each.allowed);
  for (const each of inOrder(seen)) {
    if (!each.allowed) {
      if (leastLevel(allowed, each, limit, perMs) - perMs * toleranceMs >= 1) wrongDeny++;
      continue;
    }
    const now = (each.sent + each.answered) / 2;
    const slack = perMs * (toleranceMs + (each.answered - each.sent) / 2);
    if (Number.isFinite(at)) level = Math.min(limit, level + Math.max(0, now - at) * perMs);
    at = Math.max(at, now);
    if (level + slack < 1) wrongAllow++;
    level -= 1;
    passed.push(each);
  }
  return percent(seen, wrongAllow, wrongDeny, mostWithin(passed, windowMs) / limit);
}

/** What was surely in the bucket: each token was taken as late as can be, so that the least has come back since. */
function leastLevel(allowed: readonly Seen[], denied: Seen, limit: number, perMs: number): number {
  const takenAt = allowed
    .filter(({ sent }) => sent < denied.answered)
    .map(({ answered }) => Math.min(answered, denied.sent))
    .sort((a, b) => a - b);
  let level = limit;
  let at = denied.sent;
  for (const instant of takenAt) {
    level = Math.min(limit, level + Math.max(0, instant - at) * perMs) - 1;
    at = instant;
  }
  return Math.min(limit, level + (denied.sent - at) * perMs);
}

function inOrder(seen: readonly Seen[]): Seen[] {
  return seen.toSorted((a, b) => a.sent + a.answered - b.sent - b.answered);
}

function percent(seen: readonly Seen[], wrongAllow: number, wrongDeny: number, most: number): Accuracy {
  return { wrongAllow: (100 * wrongAllow) / seen.length, wrongDeny: (100 * wrongDeny) / seen.length, most };
}

/** Only those that surely were within one window. */
function mostWithin(passed: readonly Seen[], windowMs: number): number {
  let most = 0;
  for (const first of passed) {
    const end = first.sent + windowMs - toleranceMs;
    most = Math.max(most, passed.filter(({ sent, answered }) => sent >= first.sent && answered < end).length);
  }
  return most;
}
