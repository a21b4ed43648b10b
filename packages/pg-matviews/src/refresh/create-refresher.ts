import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import type { Refresher, RefresherOptions } from './refresher.ts';
import { ViewRefresher } from './view-refresher.ts';

/**
 * Refreshes materialized views and rollups when their sources changed, one refresh at a time, whatever the number of processes.
 *
 * Any process may run one: of all that do, one refreshes a view at a time (a row lock, which ends with the
 * transaction and passes through a pooler). A change committed during a refresh is in the next one. When a process
 * dies, nothing is lost: its transaction is rolled back, the marks are there again and somebody else takes them.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, no materialized view, a `maxWait` below
 * `debounce`, or a `pauseAfter` below 1.
 * @example
 * const refresher = createRefresher({ sql: pgExecutor(pool), listener, views: [callsPerDay] });
 * refresher.on('refreshed', ({ view, durationMs }) => console.log(view, durationMs));
 * await refresher.start();
 */
export function createRefresher(options: RefresherOptions): Refresher {
  assertKnownOptions('createRefresher', options, [
    'sql',
    'listener',
    'views',
    'debounce',
    'maxWait',
    'timeout',
    'schedule',
    'retry',
    'clock',
  ]);
  assertKnownOptions('createRefresher: timeout', options.timeout ?? {}, ['lock', 'run']);
  assertKnownOptions('createRefresher: retry', options.retry ?? {}, ['pauseAfter']);
  if (typeof options.sql?.transaction !== 'function') {
    throw new ConfigurationError('createRefresher: sql is an SqlExecutor');
  }
  if (options.timeout?.run !== undefined && options.sql.lacks?.includes('timeouts') === true) {
    throw new ConfigurationError('createRefresher: timeout.run is nothing this database can keep to');
  }
  return new ViewRefresher(options);
}
