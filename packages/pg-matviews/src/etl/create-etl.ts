import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import type { Etl, EtlOptions } from './etl.ts';
import { TableEtl } from './table-etl.ts';

/**
 * Copies a remote view into a local table, incrementally: per source table the rows that changed, the keys they lead to,
 * the view read again by these keys, and the difference written.
 *
 * Changes of transactions that were running during the last run, however long, are found by the next one. The horizon
 * is stored in the commit of the rows, so a process may be killed anywhere. Any number of processes may run one; one has
 * the turn at a time.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option or a definition that is none.
 * @example
 * const etl = createEtl({
 *   name: 'calls',
 *   remote: pgExecutor(remotePool),
 *   local: pgExecutor(pool),
 *   from: 'calls',
 *   to: 'calls_copy',
 *   key: 'id',
 *   sources: { calls: { key: 'id', changed: { column: 'start_time' } } },
 * });
 * await etl.install();
 * etl.on('run', ({ read, inserted, updated }) => console.log(read, inserted, updated));
 * await etl.run();
 * @example
 * const bySlot = createEtl({
 *   name: 'calls_told',
 *   remote: pgExecutor(remotePool),
 *   local: pgExecutor(pool),
 *   from: 'calls',
 *   to: 'calls_told',
 *   key: 'id',
 *   slot: 'calls_told',
 *   sources: { calls: { key: 'id', changed: 'slot' } },
 * });
 * await bySlot.install();
 * await bySlot.run();
 * console.log((await bySlot.status()).slot?.retainedBytes);
 * await bySlot.dropSlot();
 */
export function createEtl(options: EtlOptions): Etl {
  assertKnownOptions('createEtl', options, [
    'name',
    'remote',
    'local',
    'from',
    'to',
    'key',
    'sources',
    'skew',
    'overlap',
    'slot',
    'every',
    'reconcile',
    'timeout',
    'maxRows',
    'clock',
  ]);
  for (const side of ['remote', 'local'] as const) {
    if (typeof options[side]?.transaction !== 'function') {
      throw new ConfigurationError(`createEtl: ${side} is an SqlExecutor`);
    }
  }
  return new TableEtl(options);
}
