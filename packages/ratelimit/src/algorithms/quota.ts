import { assertKnownOptions, ConfigurationError, type RedisArgument } from '@cachekit/core';
import type { Algorithm, Rule } from './algorithm.ts';
import { type Calendar, type Period, zonedCalendar } from './calendar.ts';
import {
  blockCounted,
  countedAt,
  countedDeniedFor,
  foundCounted,
  giveCounted,
  takeCounted,
} from './counted-window.ts';
import { type Policy, policyWith } from './policy.ts';

/** What {@link quota} takes. */
export interface QuotaOptions {
  /** Tokens per period; an integer from 1. */
  limit: number;
  /** Of the calendar, not a length: a month has 28 to 31 days, and a day 23 to 25 hours. */
  per: Period;
  /**
   * Whose clocks count, by its name in the IANA database.
   * @defaultValue `'UTC'`
   */
  timeZone?: string;
  /** Counts and tells, but denies nothing. */
  shadow?: boolean;
}

const usualMs: Readonly<Record<Period, number>> = {
  hour: 3_600_000,
  day: 86_400_000,
  month: 31 * 86_400_000,
};

/**
 * So much per hour, day or month of the calendar in a time zone, for all ids alike.
 *
 * The edges are instants by the clock of the Redis server, daylight saving included; a process with a wrong clock
 * counts in the same periods as all others.
 *
 * Cost: one key, O(1).
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1, or the period or time zone none.
 * @example
 * quota({ limit: 10_000, per: 'month', timeZone: 'America/Sao_Paulo' });
 */
export function quota(options: QuotaOptions): Policy {
  assertKnownOptions('quota', options, ['limit', 'per', 'timeZone', 'shadow']);
  const { limit, per, timeZone = 'UTC', shadow } = options;
  if (!Object.hasOwn(usualMs, per)) {
    throw new ConfigurationError(
      `quota: per: ${JSON.stringify(per) ?? String(per)} is none; give hour, day or month`,
    );
  }
  const calendar = zonedCalendar(per, timeZone);
  return Object.freeze({ ...policyWith('quota', algorithm, limit, usualMs[per], shadow), calendar });
}

function calendarOf(rule: Rule): Calendar {
  if (rule.calendar === undefined) throw new TypeError('A rule of the calendar has a calendar');
  return rule.calendar;
}

/** Counts in windows whose edges a calendar gives; the state is that of a window that counts. */
export function calendarWindow(name: 'quota' | 'fixedWindow', version: string): Algorithm {
  const leftAt = (rule: Rule, now: number): number => calendarOf(rule).endAfter(now) - now;
  const counting: Algorithm = {
    name,
    version,
    parameters: ['limit', 'first', 'second', 'third'],
    width: 2,
    next(state, rule, cost, now, force = false) {
      const leftMs = leftAt(rule, now);
      const counted = countedAt(state, leftMs, now);
      return takeCounted(
        counted.leftMs > 0 ? { ...counted, leftMs } : counted,
        rule,
        leftMs,
        cost,
        now,
        force,
      );
    },
    give: (state, rule, cost, now, at) =>
      giveCounted(countedAt(state, leftAt(rule, now), now), rule.windowMs, cost, now, at),
    block: (state, rule, durationMs, reason, now) =>
      blockCounted(countedAt(state, leftAt(rule, now), now), durationMs, reason, now),
    deniedFor: countedDeniedFor,
    // Three edges: the server's clock may be a period ahead of ours, or behind.
    pushArgs(args: RedisArgument[], rule, now): void {
      const calendar = calendarOf(rule);
      const second = calendar.endAfter(now);
      const third = calendar.endAfter(second);
      args.push(rule.limit, calendar.startBefore(now), second, third);
    },
    read(reply, at, rule, cost, force) {
      // Lua replies the time left of the period, and 0 as the count if nothing was taken in it.
      const leftMs = reply[at] as number;
      return takeCounted(countedAt(foundCounted(reply, at), leftMs, 0), rule, leftMs, cost, 0, force);
    },
    lua: {
      uses: ['counted', 'stored'],
      take: `
    if now < first or now >= third then return end
    local left = (now < second and second or third) - now
    local ttl, taken, blocked, why = counted(key, left, now)
    local found = taken
    if blocked > 0 then found = string.format('%.0f!%.0f!%s', taken, blocked, why) end
    if not force and (blocked > 0 or cost > limit - taken) then return left, found end
    return left, found, stored(taken + cost, left, blocked, why, now)`,
      give: `
    if now < first or now >= third then return end
    local ttl, taken, blocked, why = counted(key, (now < second and second or third) - now, now)
    if at ~= '' and now + ttl - at > (second - first) / 2 then return end
    if taken <= cost and blocked == 0 then return redis.call('DEL', key) end
    local left, value = stored(math.max(0, taken - cost), ttl, blocked, why, now)
    redis.call('SET', key, value, 'PX', left)`,
      block: `
    if now < first or now >= third then return end
    local ttl, taken, blocked = counted(key, (now < second and second or third) - now, now)
    local left, value = stored(taken, ttl, math.max(blocked, duration), reason, now)
    redis.call('SET', key, value, 'PX', left)`,
    },
  };
  return counting;
}

const algorithm: Algorithm = calendarWindow('quota', 'q1');
