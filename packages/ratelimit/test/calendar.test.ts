import { FakeClock } from '@cachekit/core/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { zonedCalendar } from '../src/algorithms/calendar.ts';
import { createRateLimiter, memoryStore, quota } from '../src/index.ts';

const hourMs = 3_600_000;
const at = (iso: string): number => Date.parse(iso);

describe('quota()', () => {
  test.each([
    ['UTC', 'day', '2026-03-10T13:00:00Z', '2026-03-10T00:00:00Z', '2026-03-11T00:00:00Z'],
    ['America/Sao_Paulo', 'day', '2026-03-10T02:00:00Z', '2026-03-09T03:00:00Z', '2026-03-10T03:00:00Z'],
    ['America/Sao_Paulo', 'month', '2026-03-01T02:59:59Z', '2026-02-01T03:00:00Z', '2026-03-01T03:00:00Z'],
    ['UTC', 'month', '2024-02-29T12:00:00Z', '2024-02-01T00:00:00Z', '2024-03-01T00:00:00Z'],
    ['UTC', 'month', '2026-12-31T23:59:59Z', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    // Clocks go forward: 23 hours.
    ['Europe/Berlin', 'day', '2026-03-29T10:00:00Z', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
    // Clocks go back: 25 hours.
    ['Europe/Berlin', 'day', '2026-10-25T10:00:00Z', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
    // 00:00 did not exist: the day began at 01:00.
    ['America/Sao_Paulo', 'day', '2018-11-04T12:00:00Z', '2018-11-04T03:00:00Z', '2018-11-05T02:00:00Z'],
    // Clocks went back at midnight: 23:00 to 24:00 came twice.
    ['America/Sao_Paulo', 'day', '2018-02-18T02:30:00Z', '2018-02-17T02:00:00Z', '2018-02-18T03:00:00Z'],
    ['Asia/Kathmandu', 'hour', '2026-01-01T00:20:00Z', '2026-01-01T00:15:00Z', '2026-01-01T01:15:00Z'],
    // Clocks go forward by half an hour, from 02:00 to 02:30, and back from 02:00 to 01:30.
    ['Australia/Lord_Howe', 'hour', '2026-10-03T15:40:00Z', '2026-10-03T15:30:00Z', '2026-10-03T16:00:00Z'],
    ['Australia/Lord_Howe', 'hour', '2026-04-04T15:10:00Z', '2026-04-04T15:00:00Z', '2026-04-04T15:30:00Z'],
    // And forward within an hour, from 23:30 to 24:00.
    ['Asia/Pyongyang', 'hour', '2018-05-04T14:40:00Z', '2018-05-04T14:30:00Z', '2018-05-04T15:00:00Z'],
    // The hour that comes twice is two hours.
    ['Europe/Berlin', 'hour', '2026-10-25T00:30:00Z', '2026-10-25T00:00:00Z', '2026-10-25T01:00:00Z'],
  ] as const)('%s, per %s at %s: from %s to %s', (timeZone, per, now, start, end) => {
    const calendar = zonedCalendar(per, timeZone);
    expect(new Date(calendar.startBefore(at(now))).toISOString()).toBe(new Date(start).toISOString());
    expect(new Date(calendar.endAfter(at(now))).toISOString()).toBe(new Date(end).toISOString());
  });

  test('windows follow each other without a gap, hold their instants, and show one date from end to end', () => {
    const zones = [
      'UTC',
      'America/Sao_Paulo',
      'Europe/Berlin',
      'Australia/Lord_Howe',
      'Africa/Casablanca',
      'America/St_Johns',
      'Pacific/Apia',
      'Asia/Pyongyang',
      'America/Caracas',
      'Asia/Kathmandu',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom('hour', 'day', 'month'),
        fc.integer({ min: at('2005-01-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') }),
        (timeZone, per, now) => {
          const start = zonedCalendar(per, timeZone).startBefore(now);
          const end = zonedCalendar(per, timeZone).endAfter(now);
          expect(start).toBeLessThanOrEqual(now);
          expect(end).toBeGreaterThan(now);
          expect(end - start).toBeLessThanOrEqual({ hour: 1, day: 25, month: 745 }[per] * hourMs);
          expect(zonedCalendar(per, timeZone).startBefore(end)).toBe(end);
          expect(zonedCalendar(per, timeZone).endAfter(start)).toBe(end);
        },
      ),
      { numRuns: process.env.CACHEKIT_LONG ? 5_000 : 300 },
    );
  });

  test('the whole quota is back at midnight of the zone, neither earlier nor later', async () => {
    const clock = new FakeClock(at('2026-03-28T22:59:00Z'));
    const limits = createRateLimiter({
      policies: { plan: quota({ limit: 2, per: 'day', timeZone: 'Europe/Berlin' }) },
      store: memoryStore(),
      clock,
    });
    const ask = () => limits.consume({ plan: ['t1'] });
    await ask();
    await ask();
    expect(await ask()).toMatchObject({ allowed: false, retryAfterMs: 60_000 });
    await clock.advance(59_999);
    expect((await ask()).allowed).toBe(false);
    await clock.advance(1);
    expect(await ask()).toMatchObject({
      allowed: true,
      limits: { plan: { remaining: 1, resetMs: 23 * hourMs } },
    });
  });

  test.each([
    [{ limit: 0, per: 'day' }],
    [{ limit: Number.NaN, per: 'day' }],
    [{ limit: 1.5, per: 'day' }],
    [{ limit: 1, per: 'week' }],
    [{ limit: 1 }],
    [{ limit: 1, per: 'toString' }],
    [{ limit: 1, per: 'day', timeZone: 'Mars/Olympus' }],
    [{ limit: 1, per: 'day', timeZone: 3 }],
    [{ limit: 1, per: 'day', shadow: 'yes' }],
    [{ limit: 1, per: 'day', window: '1m' }],
  ])('refuses %j', (options) => {
    expect(() => quota(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});
