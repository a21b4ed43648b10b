import { ConfigurationError } from '@cachekit/core';

/** Where the windows of a calendar begin and end. */
export interface Calendar {
  /** First instant after the window that holds `now`; milliseconds since the epoch. */
  endAfter(now: number): number;
  /** First instant of the window that holds `now`. */
  startBefore(now: number): number;
}

/** A period of the calendar. */
export type Period = 'hour' | 'day' | 'month';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Windows that begin at multiples of `windowMs` since 1970. */
export function epochCalendar(windowMs: number): Calendar {
  return {
    startBefore: (now) => Math.floor(now / windowMs) * windowMs,
    endAfter: (now) => (Math.floor(now / windowMs) + 1) * windowMs,
  };
}

/**
 * Hours, days or months as the clocks on the walls of a time zone show them.
 *
 * A day begins at the first instant of its date, which is not always 00:00, and has 23 or 25 hours where clocks are
 * changed. An hour that comes twice is two hours, and one that clocks change within is shorter.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if this machine does not know the time zone.
 */
export function zonedCalendar(period: Period, timeZone: string): Calendar {
  const offsetAt = zoneOffset(timeZone);
  const bounds = period === 'hour' ? hourBounds(offsetAt) : dateBounds(offsetAt, period);
  // Consecutive checks fall into the same period.
  let start = 0;
  let end = 0;
  const find = (now: number): void => {
    if (now < start || now >= end) [start, end] = bounds(now);
  };
  return {
    startBefore(now) {
      find(now);
      return start;
    },
    endAfter(now) {
      find(now);
      return end;
    },
  };
}

type Offset = (instant: number) => number;

/** What the clocks of a zone are ahead of UTC at an instant, milliseconds. */
function zoneOffset(timeZone: string): Offset {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    throw new ConfigurationError(
      `quota: timeZone: ${JSON.stringify(timeZone) ?? String(timeZone)} is none; give a name such as "America/Sao_Paulo"`,
    );
  }
  return (instant) => {
    const seconds = Math.floor(instant / 1_000) * 1_000;
    const wall = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
    for (const { type, value } of format.formatToParts(seconds)) {
      if (type in wall) wall[type as keyof typeof wall] = Number(value);
    }
    return Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second) - seconds;
  };
}

function hourBounds(offsetAt: Offset): (now: number) => [number, number] {
  return (now) => {
    const shiftAt = (instant: number): number => offsetAt(instant) % hourMs;
    const shift = shiftAt(now);
    const start = Math.floor((now + shift) / hourMs) * hourMs - shift;
    const end = start + hourMs;
    // Where clocks are changed by less than an hour, the hours before and after the change may be shorter.
    return [
      shiftAt(start) === shift ? start : firstWithOffset(offsetAt, start, now),
      shiftAt(end - 1) === shift ? end : firstWithOffset(offsetAt, now, end - 1),
    ];
  };
}

/** The first instant with the offset of `after`; at `before` it is another. */
function firstWithOffset(offsetAt: Offset, before: number, after: number): number {
  const early = offsetAt(before);
  let low = before;
  let high = after;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle) === early) low = middle;
    else high = middle;
  }
  return high;
}

function dateBounds(offsetAt: Offset, period: 'day' | 'month'): (now: number) => [number, number] {
  return (now) => {
    const wall = new Date(now + offsetAt(now));
    const at = (ahead: number): number => {
      const midnight =
        period === 'day'
          ? Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate() + ahead)
          : Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth() + ahead, 1);
      return firstInstant(midnight, offsetAt);
    };
    const start = at(0);
    // Clocks that are set back over midnight show the date of yesterday again after today has begun.
    if (now < start) return [at(-1), start];
    const end = at(1);
    return now < end ? [start, end] : [end, at(2)];
  };
}

/** When the clocks show `wall` for the first time, or, if they leap over it, when they leap. */
function firstInstant(wall: number, offsetAt: Offset): number {
  const early = offsetAt(wall - dayMs);
  const late = offsetAt(wall + dayMs);
  if (early === late) return wall - early;
  const after = firstWithOffset(offsetAt, wall - dayMs, wall + dayMs);
  if (wall - early < after) return wall - early;
  return Math.max(after, wall - late);
}
