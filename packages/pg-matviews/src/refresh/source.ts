import type { ChangeSource, SqlExecutor, SqlListener } from '@cachekit/core';
import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { outboxSource } from '@cachekit/core/postgres';
import { viewOutbox } from '../migrate/install.ts';

/** Options of {@link refreshSource}. */
export interface RefreshSourceOptions {
  readonly sql: SqlExecutor;
  /** Wakes the source within milliseconds of a refresh. Without it the source only polls. */
  readonly listener?: SqlListener | undefined;
}

/**
 * Delivers what refreshes changed, in the order of their commits, to a change pipeline.
 *
 * Each change has `operation` `refresh`, `table` the name of the view, `tenant` (absent: every tenant) and `key`
 * (empty: every row of the tenant). It was written in the transaction of the refresh: it is there if and only if the
 * new rows are, also when the process died right after the commit.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, or a database of one session; from `start` if no views were applied.
 * @example
 * const pipeline = createChangePipeline({
 *   sources: [refreshSource({ sql, listener })],
 *   stages: [invalidateStage(cache, ({ table, tenant }) => (tenant ? [keys.tag(tenant, table)] : []))],
 * });
 */
export function refreshSource(options: RefreshSourceOptions): ChangeSource {
  assertKnownOptions('refreshSource', options, ['sql', 'listener']);
  if (options.sql?.lacks?.includes('sessions') === true) {
    throw new ConfigurationError(
      'refreshSource: while a batch is delivered it keeps a session, and this database has one only; listen to `refreshed` of the refresher instead',
    );
  }
  return outboxSource({ sql: options.sql, listener: options.listener, outbox: viewOutbox });
}
