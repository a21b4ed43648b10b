import { describe, expect, it } from 'vitest';
import { type LastRun, msOfRest, msUntilDue, owedAfter, retryMs } from '../src/refresh/due.ts';

const pace = { debounceMs: 250, maxWaitMs: 2_000 };

describe('msUntilDue()', () => {
  it('waits until no mark came for the debounce', () => {
    expect(msUntilDue({ oldestMs: 0, newestMs: 0 }, pace, undefined)).toBe(250);
    expect(msUntilDue({ oldestMs: 900, newestMs: 100 }, pace, undefined)).toBe(150);
    expect(msUntilDue({ oldestMs: 900, newestMs: 250 }, pace, undefined)).toBe(0);
  });

  it('never waits longer than the maximum after the first mark', () => {
    expect(msUntilDue({ oldestMs: 1_950, newestMs: 0 }, pace, undefined)).toBe(50);
    expect(msUntilDue({ oldestMs: 9_000, newestMs: 0 }, pace, undefined)).toBe(0);
    for (let oldestMs = 0; oldestMs <= 2_000; oldestMs += 50) {
      const wait = msUntilDue({ oldestMs, newestMs: 0 }, pace, { tookMs: 60_000, owedMs: 0, endedMsAgo: 0 });
      expect(oldestMs + wait).toBeLessThanOrEqual(2_000);
    }
  });

  it('rests as long as the last refresh took', () => {
    expect(
      msUntilDue({ oldestMs: 400, newestMs: 400 }, pace, { tookMs: 900, owedMs: 0, endedMsAgo: 300 }),
    ).toBe(600);
    expect(
      msUntilDue({ oldestMs: 400, newestMs: 400 }, pace, { tookMs: 900, owedMs: 0, endedMsAgo: 900 }),
    ).toBe(0);
  });
});

describe('retryMs()', () => {
  it('doubles from half a second to a minute', () => {
    expect([1, 2, 3, 7, 8, 500].map(retryMs)).toEqual([500, 1_000, 2_000, 32_000, 60_000, 60_000]);
  });
});

describe('msUntilDue() of a rollup', () => {
  const pace = { debounceMs: 50, maxWaitMs: 250, leading: true };
  const mark = { oldestMs: 3, newestMs: 3 };

  it('is now for the first change after a rest, and keeps a pause between runs', () => {
    expect(msUntilDue(mark, pace, undefined)).toBe(0);
    expect(msUntilDue(mark, pace, { tookMs: 2, owedMs: 18, endedMsAgo: 1_000 })).toBe(0);
    expect(msUntilDue(mark, pace, { tookMs: 2, owedMs: 18, endedMsAgo: 10 })).toBe(40);
  });

  it('lets one slow refresh after a rest delay nothing', () => {
    const owedMs = owedAfter(undefined, 10, pace);
    expect(msUntilDue(mark, pace, { tookMs: 10, owedMs, endedMsAgo: 50 })).toBe(0);
  });

  it('leaves 24 of 25 parts of the time to others when changes never end', () => {
    let last: LastRun | undefined;
    let [running, passed] = [0, 0];
    for (let run = 0; run < 100; run++) {
      const endedMsAgo = msUntilDue(mark, pace, last);
      const before: LastRun | undefined = last && { ...last, endedMsAgo };
      last = { tookMs: 10, owedMs: owedAfter(before, 10, pace), endedMsAgo: 0 };
      running += 10;
      passed += 10 + endedMsAgo;
    }
    expect(running / passed).toBeCloseTo(0.04, 2);
  });

  it('does not depend on the marks while the view rests', () => {
    expect(msOfRest(pace, undefined)).toBe(0);
    expect(msOfRest(pace, { tookMs: 2, owedMs: 38, endedMsAgo: 20 })).toBe(30);
    expect(msOfRest(pace, { tookMs: 2, owedMs: 38, endedMsAgo: 90 })).toBe(0);
    const slow: LastRun = { tookMs: 2_000, owedMs: owedAfter(undefined, 2_000, pace), endedMsAgo: 10 };
    expect(msOfRest(pace, slow)).toBe(240);
    expect(msOfRest({ ...pace, leading: false }, slow)).toBe(0);
  });

  it('lets no mark wait longer than maxWait, and forgets slow refreshes with the first fast one', () => {
    const slow: LastRun = { tookMs: 2_000, owedMs: owedAfter(undefined, 2_000, pace), endedMsAgo: 10 };
    expect(msUntilDue({ oldestMs: 200, newestMs: 3 }, pace, slow)).toBe(50);
    expect(msUntilDue({ oldestMs: 400, newestMs: 3 }, pace, slow)).toBe(0);
    const fast: LastRun = { tookMs: 2, owedMs: owedAfter(slow, 2, pace), endedMsAgo: 50 };
    expect(msUntilDue(mark, pace, fast)).toBe(0);
  });
});
