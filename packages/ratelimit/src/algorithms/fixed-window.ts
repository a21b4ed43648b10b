import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import type { Algorithm, LimitState, Rule, Step } from './algorithm.ts';
import { epochCalendar } from './calendar.ts';
import {
  blockCounted,
  countedAt,
  countedDeniedFor,
  foundCounted,
  giveCounted,
  takeCounted,
} from './counted-window.ts';
import { type Policy, type PolicyOptions, policyOf } from './policy.ts';
import { calendarWindow } from './quota.ts';

/** What {@link fixedWindow} takes. */
export interface FixedWindowOptions extends PolicyOptions {
  /**
   * Where windows begin: with the first request of each id, or for all ids alike at multiples of `window` since 1970.
   * @defaultValue `'first-request'`
   */
  anchor?: 'first-request' | 'epoch';
}

/**
 * Counts in windows that begin with the first request and end `window` later, whatever comes meanwhile.
 *
 * Never more than `limit` in one window; around the end of a window up to twice the limit may pass within a time
 * shorter than the window. Where that matters, take `gcra()` or `slidingWindow()`.
 *
 * Cost: one key, O(1).
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1 or the window no time.
 * @example
 * fixedWindow({ limit: 10, window: '60s' }); // ten commands, and again ten 60 s after the first of them
 */
export function fixedWindow(options: FixedWindowOptions): Policy {
  assertKnownOptions('fixedWindow', options, ['limit', 'window', 'shadow', 'anchor']);
  const { anchor = 'first-request', ...rest } = options;
  if (anchor === 'first-request') return policyOf('fixedWindow', algorithm, rest);
  if (anchor !== 'epoch') {
    throw new ConfigurationError(
      `fixedWindow: anchor: ${JSON.stringify(anchor) ?? String(anchor)} is none; give first-request or epoch`,
    );
  }
  const policy = policyOf('fixedWindow', epochWindow, rest);
  return Object.freeze({ ...policy, calendar: epochCalendar(policy.windowMs) });
}

const epochWindow: Algorithm = calendarWindow('fixedWindow', 'e1');

// `expiresAt` is the end of the window, `value` what was taken in it.
const algorithm: Algorithm = {
  name: 'fixedWindow',
  version: 'f1',
  parameters: ['limit', 'window'],
  width: 2,
  next(state: LimitState | undefined, rule: Rule, cost: number, now: number, force = false): Step {
    return takeCounted(countedAt(state, rule.windowMs, now), rule, rule.windowMs, cost, now, force);
  },
  give: (state, { windowMs }, cost, now, at) =>
    giveCounted(countedAt(state, windowMs, now), windowMs, cost, now, at),
  block: (state, rule, durationMs, reason, now) =>
    blockCounted(countedAt(state, rule.windowMs, now), durationMs, reason, now),
  deniedFor: countedDeniedFor,
  pushArgs(args, { limit, windowMs }): void {
    args.push(limit, windowMs);
  },
  read: (reply, at, rule, cost, force) => algorithm.next(foundCounted(reply, at), rule, cost, 0, force),
  lua: {
    uses: ['counted', 'stored'],
    take: `
    local ttl, taken, blocked, why = counted(key, window, now)
    local found = taken
    if blocked > 0 then found = string.format('%.0f!%.0f!%s', taken, blocked, why) end
    if not force and (blocked > 0 or cost > limit - taken) then return ttl, found end
    if why then
      local left, value = stored(taken + cost, ttl > 0 and ttl or window, blocked, why, now)
      return ttl, found, left, value
    end
    if ttl > 0 then return ttl, found, 0, taken + cost end
    return ttl, found, window, cost`,
    give: `
    local ttl, taken, blocked, why = counted(key, window, now)
    if at ~= '' and now + ttl - at > window / 2 then return end
    if taken <= cost and blocked == 0 then return redis.call('DEL', key) end
    local left, value = stored(math.max(0, taken - cost), ttl, blocked, why, now)
    redis.call('SET', key, value, 'PX', left)`,
    block: `
    local ttl, taken, blocked = counted(key, window, now)
    local left, value = stored(taken, ttl, math.max(blocked, duration), reason, now)
    redis.call('SET', key, value, 'PX', left)`,
  },
};
