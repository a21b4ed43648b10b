import { describe, expect, it } from 'vitest';
import { nextDue, parseCron } from '../src/refresh/cron.ts';

const due = (cron: string, timeZone: string, after: string): string | undefined => {
  const at = nextDue(parseCron(cron), timeZone, Date.parse(after));
  return at === undefined ? undefined : new Date(at).toISOString();
};

describe('nextDue()', () => {
  it.each([
    ['* * * * *', 'UTC', '2026-03-01T10:00:00Z', '2026-03-01T10:01:00.000Z'],
    ['*/15 * * * *', 'UTC', '2026-03-01T10:46:30Z', '2026-03-01T11:00:00.000Z'],
    ['0 3 * * *', 'America/Sao_Paulo', '2026-03-01T05:59:59Z', '2026-03-01T06:00:00.000Z'],
    ['0 3 * * *', 'America/Sao_Paulo', '2026-03-01T06:00:00Z', '2026-03-02T06:00:00.000Z'],
    ['30 9-17/4 * * mon-fri', 'UTC', '2026-03-06T17:30:00Z', '2026-03-09T09:30:00.000Z'],
    ['0 0 1,15 * *', 'UTC', '2026-03-02T00:00:00Z', '2026-03-15T00:00:00.000Z'],
    ['0 0 13 * fri', 'UTC', '2026-03-01T00:00:00Z', '2026-03-06T00:00:00.000Z'],
    ['0 0 29 feb *', 'UTC', '2026-03-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['0 12 * * 7', 'UTC', '2026-03-02T00:00:00Z', '2026-03-08T12:00:00.000Z'],
    ['5/20 * * * *', 'UTC', '2026-03-01T10:26:00Z', '2026-03-01T10:45:00.000Z'],
    ['0 0 * * *', 'Asia/Kathmandu', '2026-03-01T00:00:00Z', '2026-03-01T18:15:00.000Z'],
  ])('%s in %s after %s is %s', (cron, zone, after, expected) => {
    expect(due(cron, zone, after)).toBe(expected);
  });

  it('is an hour later where the clock skips the time, and once where it shows it twice', () => {
    // 2:30 is skipped in Berlin on 29 March 2026, and is there twice on 25 October.
    expect(due('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z')).toBe('2026-03-29T01:30:00.000Z');
    expect(due('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z')).toBe('2026-10-25T00:30:00.000Z');
    expect(due('30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z')).toBe('2026-10-26T01:30:00.000Z');
  });

  it('never comes for a day that no month has', () => {
    expect(due('0 0 30 2 *', 'UTC', '2026-03-01T00:00:00Z')).toBeUndefined();
  });
});

describe('parseCron()', () => {
  it.each([
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '*/0 * * * *',
    'a * * * *',
    '1.5 * * * *',
  ])('refuses %j', (expression) => {
    expect(() => parseCron(expression)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});
