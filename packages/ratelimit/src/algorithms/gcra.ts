import type { Algorithm, LimitState, Rule, Step } from './algorithm.ts';
import { blockReason } from './block-reason.ts';
import { type Policy, type PolicyOptions, policyOf } from './policy.ts';

/**
 * Generic cell rate algorithm: a token bucket that keeps one number per key.
 *
 * The whole limit may come at once; then one token comes back every `window / limit`. There is no window edge at
 * which twice the limit passes at once, but a full bucket and what flows back may pass within one window: at most
 * `limit` at any instant, less than twice the limit in any window. Where that is too much, take `slidingWindow()`.
 *
 * The number is the instant at which the bucket is full again (the theoretical arrival time). In Redis it is the
 * expiry of the key itself, so time is the server's and an unused bucket costs nothing. What a whole millisecond
 * cannot say is kept as the value, so that nothing is ever rounded.
 *
 * A block drains the bucket, so that its first token comes back when the block ends.
 *
 * Cost: one key, O(1).
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1 or the window no time.
 * @see ITU-T I.371 annex A (GCRA)
 * @example
 * gcra({ limit: 60, window: '1m' }); // 60 at once, then one every second
 */
export function gcra(options: PolicyOptions): Policy {
  return policyOf('gcra', algorithm, options);
}

// Debt is counted in 1/limit of a millisecond: a token is `windowMs` of these and a full window `windowMs * limit`,
// all integers. `value` is what the expiry, a whole millisecond, is too late by. Only a key that was blocked or
// overdrawn may expire later than a window from now.
function debtOf(state: LimitState | undefined, { limit, windowMs }: Rule, now: number): number {
  if (state === undefined) return 0;
  let leftMs = state.expiresAt - now;
  if (leftMs > windowMs && state.block === undefined) leftMs = windowMs;
  if (leftMs <= 0) return 0;
  const late = windowMs % limit !== 0 ? state.value : 0;
  return leftMs * limit - (late >= 0 && late < limit ? late : 0);
}

// Reads the value of a key that is there into `late`, what the expiry is too late by, and `mark`, a `!` and the reason
// of a block, which only a debt beyond the limit has. Written into each body, so that none pays for a call.
const readLua = `
      local value = pcall('GET', key)
      late = tonumber(value)
      if not late and type(value) == 'string' then
        late, mark = string.match(value, '^(%d+)(!.*)$')
        late = tonumber(late)
      end
      late = math.floor(late or 0)
      if window % limit == 0 or not (late >= 0 and late < limit) then late = 0 end`;

const algorithm: Algorithm = {
  name: 'gcra',
  version: 'g1',
  parameters: ['limit', 'window'],
  width: 1,
  next(state: LimitState | undefined, rule: Rule, cost: number, now: number, force = false): Step {
    const { limit, windowMs } = rule;
    const debt = debtOf(state, rule, now);
    const full = windowMs * limit;
    const wait =
      cost > limit
        ? Number.POSITIVE_INFINITY
        : Math.max(0, Math.ceil((debt + cost * windowMs - full) / limit));
    const fits = force || wait === 0;
    const total = !fits
      ? debt
      : force
        ? Math.max(debt, Math.min(debt + cost * windowMs, 2 * full))
        : debt + cost * windowMs;
    const resetMs = Math.ceil(total / limit);
    const step = {
      fits,
      expiresAt: now + resetMs,
      value: fits || state === undefined || debt === 0 ? resetMs * limit - total : state.value,
      remaining: total > full ? 0 : Math.floor((full - total) / windowMs),
      retryAfterMs: fits ? 0 : wait,
      resetMs,
    };
    if (resetMs <= windowMs) return step;
    const wasBlocked = state?.block !== undefined && state.expiresAt - now > windowMs;
    const block = (wasBlocked ? state.block : undefined) ?? overdrawn;
    return { ...step, block, blocked: block.reason === '' ? undefined : block.reason };
  },
  give(
    state: LimitState | undefined,
    rule: Rule,
    cost: number,
    now: number,
    at?: number,
  ): LimitState | undefined {
    const { limit, windowMs } = rule;
    // Of these tokens so much cannot have come back yet, whoever took others since.
    const most = at === undefined ? Number.POSITIVE_INFINITY : Math.max(0, at - now) * limit;
    const total = debtOf(state, rule, now) - Math.min(cost * windowMs, most);
    return total > 0 ? stateOf(total, rule, now, state?.block) : undefined;
  },
  block(state, rule, durationMs, reason, now): LimitState {
    const least = rule.windowMs * (rule.limit - 1) + durationMs * rule.limit;
    return stateOf(Math.max(debtOf(state, rule, now), least), rule, now, { until: now + durationMs, reason });
  },
  deniedFor(denied, rule, cost, now): number {
    // A blocked key is denied for as long as its debt says, so what was denied tells nothing of why.
    const wait = algorithm.next({ ...denied, block: overdrawn }, rule, cost, now).retryAfterMs;
    return Number.isFinite(wait) ? wait : 0;
  },
  pushArgs(args, { limit, windowMs }): void {
    args.push(limit, windowMs);
  },
  read(reply, at, rule, cost, force): Step {
    const found = reply[at];
    if (typeof found !== 'string') {
      const debt = found as number;
      return algorithm.next(debt > 0 ? stateOf(debt, rule, 0, undefined) : undefined, rule, cost, 0, force);
    }
    const mark = found.indexOf('!');
    const debt = Number(found.slice(0, mark));
    const block = { until: Math.ceil(debt / rule.limit), reason: blockReason(found.slice(mark + 1)) };
    return algorithm.next(stateOf(debt, rule, 0, block), rule, cost, 0, force);
  },
  lua: {
    uses: [],
    take: `
    local ttl, late, mark = call('PTTL', key), 0, nil
    if ttl < 0 then
      if ttl == -1 then call('DEL', key) end
      ttl = 0
    elseif ttl > window or window % limit ~= 0 then${readLua}
      if ttl <= window then
        mark = nil
      elseif not mark then
        call('PEXPIRE', key, window)
        ttl = window
      end
    end
    local debt, full = 0, window * limit
    if ttl > 0 then debt = ttl * limit - late end
    local found = debt
    if mark then found = format('%.0f', debt) .. mark end
    local total = debt + cost * window
    if force then
      total = math.max(debt, math.min(total, 2 * full))
    elseif cost > limit or total > full then
      return found
    end
    local reset = ceil(total / limit)
    local value = reset * limit - total
    if reset > window then value = format('%.0f', value) .. (mark or '!') end
    return found, reset, value`,
    give: `
    local ttl, late, mark = redis.call('PTTL', key), 0, nil
    if ttl <= 0 then return end${readLua}
    if ttl > window and not mark then ttl = window end
    local back = cost * window
    if at ~= '' then back = math.min(back, math.max(0, at - now) * limit) end
    local total = ttl * limit - late - back
    if total <= 0 then return redis.call('DEL', key) end
    local reset = math.ceil(total / limit)
    redis.call('SET', key, string.format('%.0f', reset * limit - total) .. (mark or ''), 'PX', reset)`,
    block: `
    local ttl, late, mark = redis.call('PTTL', key), 0, nil
    local debt = 0
    if ttl > 0 then${readLua}
      if ttl > window and not mark then ttl = window end
      debt = ttl * limit - late
    end
    local total = math.max(debt, window * (limit - 1) + duration * limit)
    local reset = math.ceil(total / limit)
    redis.call('SET', key, string.format('%.0f!%s', reset * limit - total, reason), 'PX', reset)`,
  },
};

// Marks a debt beyond the limit that nobody's block explains.
const overdrawn = { until: 0, reason: '' };

function stateOf(total: number, { limit }: Rule, now: number, block: LimitState['block']): LimitState {
  const resetMs = Math.ceil(total / limit);
  const state = { expiresAt: now + resetMs, value: resetMs * limit - total };
  return block === undefined ? state : { ...state, block };
}
