import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { assertTimeZone } from '../rollup/key.ts';
import { type CronSchedule, parseCron } from './cron.ts';

/** When a view is refreshed. */
export interface ViewScheduleOptions {
  /** Minute, hour, day of the month, month, day of the week: `0 3 * * *` is every night at three. */
  readonly cron: string;
  /** Whose clock; a name of the IANA database. */
  readonly timeZone: string;
}

/** When a view is refreshed whether it is marked or not. */
export interface ViewSchedule {
  readonly cron: CronSchedule;
  readonly timeZone: string;
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function schedulesOf(
  given: Readonly<Record<string, ViewScheduleOptions>>,
  names: readonly string[],
): Map<string, ViewSchedule> {
  return new Map(
    Object.entries(given).map(([view, options]) => {
      const what = `createRefresher: schedule of "${view}"`;
      if (!names.includes(view)) throw new ConfigurationError(`${what}: it is no view that is refreshed`);
      assertKnownOptions(what, options, ['cron', 'timeZone']);
      assertTimeZone(options.timeZone, `${what}: timeZone`);
      return [view, { cron: parseCron(options.cron), timeZone: options.timeZone }];
    }),
  );
}
