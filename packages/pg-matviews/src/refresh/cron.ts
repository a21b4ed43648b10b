import { ConfigurationError } from '@cachekit/core';

/** A schedule of five fields: minute, hour, day of the month, month, day of the week. */
export interface CronSchedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly weekdays: ReadonlySet<number>;
  /** Both days are restricted: one of them is enough. */
  readonly eitherDay: boolean;
}

const monthNames = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/**
 * Reads a cron expression of five fields with `*`, lists, ranges, steps and English names.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION`
 * @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/crontab.html
 */
export function parseCron(expression: string): CronSchedule {
  const fields = typeof expression === 'string' ? expression.trim().split(/\s+/) : [];
  const [minute, hour, day, month, weekday] = fields;
  if (fields.length !== 5) {
    throw new ConfigurationError(`Schedule "${expression}" has not the five fields of a cron expression`);
  }
  const read = (text: string | undefined, from: number, to: number, names: readonly string[] = []) =>
    field(expression, text ?? '', from, to, names);
  const weekdays = new Set([...read(weekday, 0, 7, weekdayNames)].map((one) => one % 7));
  const schedule: CronSchedule = {
    minutes: read(minute, 0, 59),
    hours: read(hour, 0, 23),
    days: read(day, 1, 31),
    months: read(month, 1, 12, monthNames),
    weekdays,
    eitherDay: !day?.startsWith('*') && !weekday?.startsWith('*'),
  };
  return schedule;
}

/**
 * The first time after `after` (both milliseconds since the epoch) at which the schedule is due by the clock of a time
 * zone. A time that the clock skips in spring is due an hour later, one that it shows twice in autumn is due at the
 * first. `undefined` if none comes within five years, such as February 30.
 */
export function nextDue(schedule: CronSchedule, timeZone: string, after: number): number | undefined {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const local = (instant: number): number => {
    const parts = Object.fromEntries(
      clock.formatToParts(instant).map(({ type, value }) => [type, Number(value)]),
    );
    return Date.UTC(
      parts.year ?? 0,
      (parts.month ?? 1) - 1,
      parts.day,
      parts.hour,
      parts.minute,
      parts.second,
    );
  };
  // Calendar days are counted on the clock of the zone; a due time of one is then found as an instant.
  const here = local(after);
  for (let day = Math.floor(here / dayMs) * dayMs - dayMs; day <= here + farMs; day += dayMs) {
    if (!onDay(schedule, new Date(day))) continue;
    let soonest: number | undefined;
    for (const hour of schedule.hours) {
      for (const minute of schedule.minutes) {
        const instant = instantOf(day + hour * hourMs + minute * minuteMs, local);
        if (instant > after && (soonest === undefined || instant < soonest)) soonest = instant;
      }
    }
    if (soonest !== undefined) return soonest;
  }
  return undefined;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const farMs = 5 * 366 * dayMs;

/** The first instant at which the clock shows `wanted`, or passes it by. */
function instantOf(wanted: number, local: (instant: number) => number): number {
  const before = wanted - (local(wanted - dayMs) - (wanted - dayMs));
  if (local(before) === wanted) return before;
  const later = wanted - (local(wanted + dayMs) - (wanted + dayMs));
  return local(later) === wanted ? later : before;
}

function onDay({ months, days, weekdays, eitherDay }: CronSchedule, day: Date): boolean {
  if (!months.has(day.getUTCMonth() + 1)) return false;
  const dayFits = days.has(day.getUTCDate());
  const weekdayFits = weekdays.has(day.getUTCDay());
  return eitherDay ? dayFits || weekdayFits : dayFits && weekdayFits;
}

function field(
  expression: string,
  text: string,
  from: number,
  to: number,
  names: readonly string[],
): Set<number> {
  const wrong = (part: string): never => {
    throw new ConfigurationError(`Schedule "${expression}": "${part}" is not within ${from}-${to}`);
  };
  const values = new Set<number>();
  for (const part of text.toLowerCase().split(',')) {
    const [, range = '', step] = /^(\*|[a-z0-9]+(?:-[a-z0-9]+)?)(?:\/(\d+))?$/.exec(part) ?? wrong(part);
    const number = (name: string): number => {
      const named = names.indexOf(name);
      // Months are counted from 1, days of the week from 0.
      const value =
        named >= 0 ? named + (from === 1 ? 1 : 0) : /^\d+$/.test(name) ? Number(name) : Number.NaN;
      return value >= from && value <= to ? value : wrong(part);
    };
    const [first = '', last] = range === '*' ? [] : range.split('-');
    const begin = range === '*' ? from : number(first);
    const end = range === '*' || (last === undefined && step !== undefined) ? to : number(last ?? first);
    const by = step === undefined ? 1 : Number(step);
    if (by < 1 || end < begin) wrong(part);
    for (let value = begin; value <= end; value += by) values.add(value);
  }
  return values;
}
