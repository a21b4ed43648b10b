import { assertKnownOptions, ConfigurationError, type Duration, durationMs } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';
import { assertIdentifier } from '../identifier.ts';
import { parseCron } from './cron.ts';
import { defaultLockTimeout } from './default-lock-timeout.ts';

/** When pg_cron refreshes a view. */
export interface PgCronSchedule {
  /** Five fields, or `30 seconds` from pg_cron 1.5 on; by the clock of `cron.timezone`, which is GMT unless it was set. */
  readonly cron: string;
  /** Only what changed, or all of it. @defaultValue `marked` */
  readonly when?: 'marked' | 'always';
}

/** Options of {@link pgCronScript}. */
export interface PgCronOptions {
  /** By the names of views; they replace what was scheduled for them. */
  readonly schedule: Readonly<Record<string, PgCronSchedule>>;
  /** Limits of one refresh. */
  readonly timeout?: {
    /** @defaultValue `1500ms`, which is longer than `deadlock_timeout` */
    readonly lock?: Duration;
    /** @defaultValue `10m` */
    readonly run?: Duration;
  };
}

/**
 * A script that lets the extension pg_cron refresh views, for servers without a process that does.
 *
 * To be run in the database of the views, which is that of `cron.database_name`, by a role with the rights of a refresher. It goes
 * well with refreshers: one refreshes a view at a time, whoever it is, and a view that is paused is left alone.
 * `uninstallViews` takes the jobs away.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, a name or a cron expression that is none.
 * @example
 * const script = pgCronScript({ schedule: { mv_calls_per_day: { cron: '0 * * * *' } } });
 */
export function pgCronScript(options: PgCronOptions): string {
  assertKnownOptions('pgCronScript', options, ['schedule', 'timeout']);
  assertKnownOptions('pgCronScript: timeout', options.timeout ?? {}, ['lock', 'run']);
  const lockMs = Math.ceil(durationMs(options.timeout?.lock ?? defaultLockTimeout, 'timeout.lock'));
  const runMs = Math.ceil(durationMs(options.timeout?.run ?? '10m', 'timeout.run'));
  return Object.entries(options.schedule ?? {})
    .map(([view, given]) => {
      assertIdentifier(view, 'pgCronScript: schedule');
      const what = `pgCronScript: schedule of "${view}"`;
      assertKnownOptions(what, given, ['cron', 'when']);
      const { cron, when = 'marked' } = given;
      if (when !== 'marked' && when !== 'always')
        throw new ConfigurationError(`${what}: when is "marked" or "always"`);
      if (!/^[1-5]?[0-9] seconds$/.test(cron)) parseCron(cron);
      const notice = when === 'marked' ? `SELECT cachekit.notice_parts(ARRAY[${quoteLiteral(view)}]); ` : '';
      // A timeout set in the statement that it is to end would come too late for it.
      const command = `SET lock_timeout = ${lockMs}; SET statement_timeout = ${runMs}; SET row_security = off; ${notice}SELECT cachekit.refresh(${quoteLiteral(view)}, ${when === 'always'})`;
      return `SELECT cron.schedule(${quoteLiteral(`cachekit:${view}`)}, ${quoteLiteral(cron)}, ${quoteLiteral(command)});\n`;
    })
    .join('');
}
