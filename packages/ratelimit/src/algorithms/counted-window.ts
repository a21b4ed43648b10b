import type { Block, Denial, LimitState, Rule, Step } from './algorithm.ts';
import { blockReason } from './block-reason.ts';

/** What both algorithms that count in windows know of a key at one instant. */
interface Counted {
  /** Time left of the window; 0 if none is open. */
  readonly leftMs: number;
  readonly taken: number;
  readonly block: Block | undefined;
}

/** @param windowMs - The longest that a window that began earlier may still last. */
export function countedAt(state: LimitState | undefined, windowMs: number, now: number): Counted {
  if (state === undefined) return { leftMs: 0, taken: 0, block: undefined };
  const leftMs = Math.max(0, Math.min(state.expiresAt - now, windowMs));
  const block = state.block !== undefined && state.block.until > now ? state.block : undefined;
  return leftMs > 0 && state.value > 0
    ? { leftMs, taken: state.value, block }
    : { leftMs: 0, taken: 0, block };
}

/** @param windowMs - Time left of a window that begins now. */
export function takeCounted(
  { leftMs, taken, block }: Counted,
  { limit }: Rule,
  windowMs: number,
  cost: number,
  now: number,
  force: boolean,
): Step {
  const blockedMs = block === undefined ? 0 : block.until - now;
  const fits = force || (blockedMs === 0 && cost <= limit - taken);
  const total = fits ? taken + cost : taken;
  const resetMs = leftMs > 0 ? leftMs : total > 0 ? windowMs : 0;
  // A cost of 0 that does not fit was denied by a block or by nothing but more than everything taken.
  const wait =
    cost > limit ? Number.POSITIVE_INFINITY : Math.max(blockedMs, cost <= limit - taken ? 0 : leftMs);
  const step = {
    fits,
    expiresAt: now + resetMs,
    value: total,
    remaining: blockedMs > 0 ? 0 : Math.max(0, limit - total),
    retryAfterMs: fits ? 0 : wait,
    resetMs: Math.max(resetMs, blockedMs),
  };
  return block === undefined ? step : { ...step, block, blocked: block.reason };
}

/** @param at - When the window was over from which the tokens were taken; they are gone with it. */
export function giveCounted(
  { leftMs, taken, block }: Counted,
  windowMs: number,
  cost: number,
  now: number,
  at: number | undefined,
): LimitState | undefined {
  // The ends of two windows are a window apart; those of one may differ by what the server's clock moves in a script.
  const isAnother = at !== undefined && now + leftMs - at > windowMs / 2;
  const value = isAnother ? taken : Math.max(0, taken - cost);
  if (block !== undefined) return { expiresAt: now + leftMs, value, block };
  return value > 0 ? { expiresAt: now + leftMs, value } : undefined;
}

export function blockCounted(
  { leftMs, taken, block }: Counted,
  durationMs: number,
  reason: string,
  now: number,
): LimitState {
  const until = Math.max(block?.until ?? 0, now + durationMs);
  return { expiresAt: now + leftMs, value: taken, block: { until, reason } };
}

/** The same cost or more does not fit before the window, or the block, is over. */
export function countedDeniedFor(
  { cost, until, expiresAt, value }: Denial,
  rule: Rule,
  asked: number,
  now: number,
): number {
  if (asked > rule.limit) return 0;
  if (asked >= cost) return Math.max(0, until - now);
  return value + asked > rule.limit ? Math.max(0, expiresAt - now) : 0;
}

/** What Lua found, as a state at the instant 0 of the server. */
export function foundCounted(reply: readonly unknown[], at: number): LimitState | undefined {
  const expiresAt = reply[at] as number;
  const found = reply[at + 1];
  if (typeof found !== 'string') return { expiresAt, value: found as number };
  const [taken, blockedMs, reason] = found.split('!') as [string, string, string];
  const block = { until: Number(blockedMs), reason: blockReason(reason) };
  return { expiresAt, value: Number(taken), block };
}
