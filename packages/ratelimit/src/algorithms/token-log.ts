import type { Algorithm, LimitState, Rule, Step } from './algorithm.ts';
import { blockReason } from './block-reason.ts';

/** The longest time between a token and its end that the log can tell apart: instants are kept modulo 2^32 ms. */
export const longestLogMs: number = 24 * 86_400_000;

/** The most tokens a log keeps: 4 bytes each in Redis, read and written whole. */
export const mostLogged = 4_096;

/** The tokens that still count: those taken less than `windowMs` ago. */
function alive(state: LimitState | undefined, windowMs: number, now: number): readonly number[] {
  const log = state?.log;
  if (log === undefined || log.length === 0 || (state as LimitState).expiresAt <= now) return [];
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (now - (log[middle] as number) >= windowMs) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? log : log.slice(low);
}

/** How long the token still counts; one from the future, by a clock that was set back, counts a whole window. */
function leftOf(instant: number, windowMs: number, now: number): number {
  return Math.min(windowMs, instant + windowMs - now);
}

function stateOf(
  log: readonly number[],
  windowMs: number,
  now: number,
  block: LimitState['block'],
): LimitState {
  const newest = log.at(-1);
  const end = newest === undefined ? now : newest + windowMs;
  const state = { expiresAt: Math.max(end, block?.until ?? 0), value: 0, log };
  return block === undefined ? state : { ...state, block };
}

function blockAt(state: LimitState | undefined, now: number): LimitState['block'] {
  return state?.block !== undefined && state.block.until > now ? state.block : undefined;
}

/**
 * Keeps the instant of every token, and lets a token pass if fewer than `limit` were taken within the last window.
 *
 * The same rule makes a strict sliding window (tokens end with time) and slots with a lease (tokens are given back,
 * or end with time).
 */
export function tokenLog(name: 'slidingWindow' | 'concurrency', version: string): Algorithm {
  const logging: Algorithm = {
    name,
    version,
    parameters: ['limit', 'window'],
    width: 3,
    next(state, { limit, windowMs }: Rule, cost, now, force = false): Step {
      const log = alive(state, windowMs, now);
      const block = blockAt(state, now);
      const count = log.length;
      const fits = force || (block === undefined && count + cost <= limit);
      const taken = fits ? (force ? Math.max(0, Math.min(cost, 2 * mostLogged - count)) : cost) : 0;
      const at = Math.max(now, log.at(-1) ?? now);
      const next = taken === 0 ? log : [...log, ...Array<number>(taken).fill(at)];
      const newest = next.at(-1);
      const blockedMs = block === undefined ? 0 : block.until - now;
      const excess = count + cost - limit;
      const wait =
        cost > limit
          ? Number.POSITIVE_INFINITY
          : Math.max(blockedMs, excess <= 0 ? 0 : leftOf(log[excess - 1] as number, windowMs, now));
      return {
        ...stateOf(next, windowMs, now, block),
        fits,
        remaining: block === undefined ? Math.max(0, limit - next.length) : 0,
        retryAfterMs: fits ? 0 : wait,
        resetMs: Math.max(blockedMs, newest === undefined ? 0 : leftOf(newest, windowMs, now)),
        blocked: block?.reason,
        at: taken === 0 ? undefined : at,
      };
    },
    give(state, { windowMs }, cost, now, at): LimitState | undefined {
      const log = [...alive(state, windowMs, now)];
      const block = blockAt(state, now);
      const last = at === undefined ? log.length - 1 : log.lastIndexOf(at);
      let first = last;
      while (first >= 0 && last - first < cost && (at === undefined || log[first] === at)) first--;
      if (last >= 0) log.splice(first + 1, last - first);
      return log.length === 0 && block === undefined ? undefined : stateOf(log, windowMs, now, block);
    },
    block(state, { windowMs }, durationMs, reason, now): LimitState {
      const until = Math.max(blockAt(state, now)?.until ?? 0, now + durationMs);
      // Tokens that end before the block does are of no use, and too old to be told apart after a long one.
      const log = durationMs >= windowMs ? [] : alive(state, windowMs, now);
      return stateOf(log, windowMs, now, { until, reason });
    },
    // Which tokens end when is not remembered: a smaller cost may fit, and how long a greater one waits is not known.
    deniedFor: ({ cost, until }, _rule, asked, now) => (asked === cost ? Math.max(0, until - now) : 0),
    pushArgs(args, { limit, windowMs }): void {
      args.push(limit, windowMs);
    },
    read(reply, at, { limit, windowMs }, cost, force): Step {
      const lastMs = reply[at] as number;
      const found = reply[at + 1];
      const third = reply[at + 2] as number;
      let count = found as number;
      let blockedMs = 0;
      let reason: string | undefined;
      if (typeof found === 'string') {
        const [counted, left, why] = found.split('!') as [string, string, string];
        count = Number(counted);
        blockedMs = Number(left);
        reason = blockReason(why);
      }
      const fits = force || (blockedMs === 0 && count + cost <= limit);
      const taken = fits ? (force ? Math.max(0, Math.min(cost, 2 * mostLogged - count)) : cost) : 0;
      const resetMs = Math.max(blockedMs, taken > 0 ? windowMs : lastMs);
      return {
        fits,
        expiresAt: resetMs,
        value: count + taken,
        remaining: blockedMs > 0 ? 0 : Math.max(0, limit - count - taken),
        retryAfterMs: fits ? 0 : cost > limit ? Number.POSITIVE_INFINITY : Math.max(blockedMs, third),
        resetMs,
        blocked: reason,
        at: taken > 0 ? third : undefined,
      };
    },
    lua: {
      uses: ['logged', 'packed'],
      take: `
    local value, from, count, blocked, why = logged(key, window, now)
    local last = count > 0 and window - age(value, #value - 3, now) or 0
    local found = count
    if blocked > 0 then found = string.format('%.0f!%.0f!%s', count, blocked, why) end
    if not force and (blocked > 0 or count + cost > limit) then
      local excess = count + cost - limit
      local wait = blocked
      if excess > 0 and excess <= count then
        wait = math.max(blocked, window - age(value, from + 4 * (excess - 1), now))
      end
      return last, found, wait
    end
    if force then cost = math.max(0, math.min(cost, ${2 * mostLogged} - count)) end
    local at = now % 4294967296
    if count > 0 and age(value, #value - 3, now) == 0 then at = struct.unpack('>I4', value, #value - 3) end
    local tokens = string.sub(value, from) .. string.rep(struct.pack('>I4', at), cost)
    return last, found, at, packed(tokens, window, blocked, why, now)`,
      give: `
    local value, from, count, blocked, why = logged(key, window, now)
    local tokens = string.sub(value, from)
    local last = count
    if at ~= '' then
      while last > 0 and struct.unpack('>I4', tokens, 4 * last - 3) ~= tonumber(at) do last = last - 1 end
    end
    local first = last
    while first > 0 and last - first < cost
      and (at == '' or struct.unpack('>I4', tokens, 4 * first - 3) == tonumber(at)) do
      first = first - 1
    end
    tokens = string.sub(tokens, 1, 4 * first) .. string.sub(tokens, 4 * last + 1)
    if #tokens == 0 and blocked == 0 then return redis.call('DEL', key) end
    local ttl, stored = packed(tokens, window, blocked, why, now)
    redis.call('SET', key, stored, 'PX', ttl)`,
      block: `
    local value, from, count, blocked = logged(key, window, now)
    local tokens = duration < window and string.sub(value, from) or ''
    local ttl, stored = packed(tokens, window, math.max(blocked, duration), reason, now)
    redis.call('SET', key, stored, 'PX', ttl)`,
    },
  };
  return logging;
}
