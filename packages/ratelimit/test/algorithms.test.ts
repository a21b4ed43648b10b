import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fixedWindow, gcra, type LimitState, type Policy, type Step } from '../src/index.ts';

const limits = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 1_000_000 }));
const windows = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 2_000_000 }));
const requests = fc.array(
  fc.record({
    gap: fc.double({ min: 0, max: 1.2, noNaN: true }),
    share: fc.double({ min: 0, max: 1.1, noNaN: true }),
  }),
  {
    minLength: 1,
    maxLength: 60,
  },
);
const start = 1_700_000_000_000;

interface Request {
  readonly now: number;
  readonly cost: number;
}

/** Requests at gaps that are shares of the window, with costs that are shares of the limit. */
function trace({ limit, windowMs }: Policy, parts: readonly { gap: number; share: number }[]): Request[] {
  let now = start;
  return parts.map(({ gap, share }) => {
    now += Math.floor((gap * gap * windowMs) / 2);
    return { now, cost: Math.max(1, Math.round(share * share * limit)) };
  });
}

function run(
  policy: Policy,
  requestsAt: readonly Request[],
  each: (step: Step, request: Request, before: LimitState | undefined) => void,
): void {
  let state: LimitState | undefined;
  for (const request of requestsAt) {
    const step = policy.algorithm.next(state, policy, request.cost, request.now);
    each(step, request, state);
    if (state !== undefined || step.fits) state = step;
  }
}

describe.each([
  ['gcra', gcra],
  ['fixedWindow', fixedWindow],
])('%s', (_name, maker) => {
  test('waiting exactly retryAfterMs lets the same request pass, and a millisecond less does not', () => {
    fc.assert(
      fc.property(limits, windows, requests, (limit, window, parts) => {
        const policy = maker({ limit, window });
        run(policy, trace(policy, parts), (step, { cost, now }, before) => {
          if (step.fits) return;
          if (cost > limit) {
            expect(step.retryAfterMs).toBe(Number.POSITIVE_INFINITY);
            return;
          }
          const { next } = policy.algorithm;
          expect(step.retryAfterMs).toBeGreaterThan(0);
          expect(next(before, policy, cost, now + step.retryAfterMs).fits).toBe(true);
          expect(next(before, policy, cost, now + step.retryAfterMs - 1).fits).toBe(false);
        });
      }),
      { numRuns: 500 },
    );
  });

  test('what remains can be taken at once, and one more cannot', () => {
    fc.assert(
      fc.property(limits, windows, requests, (limit, window, parts) => {
        const policy = maker({ limit, window });
        const { next } = policy.algorithm;
        run(policy, trace(policy, parts), (step, { now }) => {
          expect(step.remaining).toBeGreaterThanOrEqual(0);
          if (step.remaining > 0) expect(next(step, policy, step.remaining, now).fits).toBe(true);
          expect(next(step, policy, step.remaining + 1, now).fits).toBe(false);
        });
      }),
      { numRuns: 500 },
    );
  });

  test('after resetMs the whole limit is there again, and a millisecond earlier it is not', () => {
    fc.assert(
      fc.property(limits, windows, requests, (limit, window, parts) => {
        const policy = maker({ limit, window });
        const { next } = policy.algorithm;
        run(policy, trace(policy, parts), (step, { now }) => {
          expect(step.resetMs).toBeLessThanOrEqual(policy.windowMs);
          if (step.resetMs === 0) return;
          expect(next(step, policy, limit, now + step.resetMs).fits).toBe(true);
          expect(next(step, policy, limit, now + step.resetMs - 1).fits).toBe(false);
        });
      }),
      { numRuns: 500 },
    );
  });

  test('a look takes nothing', () => {
    fc.assert(
      fc.property(limits, windows, requests, (limit, window, parts) => {
        const policy = maker({ limit, window });
        run(policy, trace(policy, parts), (step, { cost, now }, before) => {
          const look = policy.algorithm.next(before, policy, 0, now);
          expect(look.fits).toBe(true);
          const after = policy.algorithm.next(look, policy, cost, now);
          expect(after).toEqual(step);
        });
      }),
    );
  });

  test('a denied request takes nothing, also one that costs more than the limit', () => {
    const policy = maker({ limit: 10, window: '1m' });
    const { next } = policy.algorithm;
    const first = next(undefined, policy, 8, start);
    expect(next(first, policy, 3, start)).toMatchObject({ fits: false, remaining: 2 });
    expect(next(first, policy, 11, start)).toMatchObject({
      fits: false,
      remaining: 2,
      retryAfterMs: Number.POSITIVE_INFINITY,
    });
    expect(next(undefined, policy, 11, start)).toMatchObject({ fits: false, remaining: 10, resetMs: 0 });
  });

  test('a clock that is set back delays nobody by more than a window', () => {
    const policy = maker({ limit: 2, window: '1m' });
    const { next } = policy.algorithm;
    const full = next(undefined, policy, 2, start);
    const back = start - 3_600_000;
    const denied = next(full, policy, 1, back);
    expect(denied.retryAfterMs).toBeLessThanOrEqual(60_000);
    expect(next(denied, policy, 1, back + denied.retryAfterMs).fits).toBe(true);
  });
});

describe('gcra', () => {
  test('is a token bucket, to the last token, in exact arithmetic', () => {
    fc.assert(
      fc.property(limits, windows, requests, (limit, window, parts) => {
        const policy = gcra({ limit, window });
        const full = BigInt(limit) * BigInt(window);
        // The reference: tokens in units of 1/window, one unit per limit and millisecond flows back.
        let level = full;
        let at = start;
        run(policy, trace(policy, parts), ({ fits, remaining }, { now, cost }) => {
          const flowed = level + BigInt(now - at) * BigInt(limit);
          level = flowed > full ? full : flowed;
          at = now;
          const wanted = BigInt(cost) * BigInt(window);
          expect(fits).toBe(wanted <= level);
          if (fits) level -= wanted;
          expect(BigInt(remaining)).toBe(level / BigInt(window));
        });
      }),
      { numRuns: 1_000 },
    );
  });

  test('lets the whole limit pass at once, then one token every window / limit', () => {
    const policy = gcra({ limit: 3, window: 1_000 });
    const { next } = policy.algorithm;
    let state: LimitState | undefined;
    const passed: number[] = [];
    for (let ms = 0; ms <= 1_000; ms++) {
      for (;;) {
        const step = next(state, policy, 1, start + ms);
        if (!step.fits) break;
        state = step;
        passed.push(ms);
      }
    }
    expect(passed).toEqual([0, 0, 0, 334, 667, 1_000]);
  });

  test('steady traffic at exactly the limit is never denied', () => {
    const policy = gcra({ limit: 7, window: 1_000 });
    const all: Request[] = [];
    for (let i = 0; i < 7 * 15; i++) all.push({ now: start + Math.ceil((i * 1_000) / 7), cost: 1 });
    run(policy, all, (step) => expect(step.fits).toBe(true));
  });
});

describe('fixedWindow', () => {
  test('PBX-11: ten per 60 s, counted from the first command, and the eleventh waits for the end of the window', () => {
    const policy = fixedWindow({ limit: 10, window: '60s' });
    const all = Array.from({ length: 11 }, (_, i) => ({ now: start + i * 1_000, cost: 1 }));
    const steps: Step[] = [];
    run(policy, all, (step) => steps.push(step));
    expect(steps.map(({ fits }) => fits)).toEqual([...Array(10).fill(true), false]);
    expect(steps[10]?.retryAfterMs).toBe(50_000);
  });

  test('steady traffic does not prolong a window: one request per sixth of a window is never denied', () => {
    const policy = fixedWindow({ limit: 10, window: 6_000 });
    const all = Array.from({ length: 60 }, (_, i) => ({ now: start + i * 1_000, cost: 1 }));
    run(policy, all, (step) => expect(step.fits).toBe(true));
  });

  test('never lets more than the limit pass in one window (scenario 5)', () => {
    fc.assert(
      fc.property(limits, windows, requests, (limit, window, parts) => {
        const policy = fixedWindow({ limit, window });
        let end = 0;
        let taken = 0;
        run(policy, trace(policy, parts), (step, { now, cost }) => {
          if (now >= end) {
            taken = 0;
            if (step.fits) end = now + window;
          }
          expect(step.fits).toBe(taken + cost <= limit);
          if (step.fits) taken += cost;
        });
      }),
      { numRuns: 500 },
    );
  });
});
