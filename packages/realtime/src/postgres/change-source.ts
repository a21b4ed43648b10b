import type { ChangeSource } from '@cachekit/core';
import { type OutboxSourceOptions, outboxSource } from '@cachekit/core/postgres';
import { changeOutbox } from './trigger-sql.ts';

/** Options of {@link changeSource}: those of `outboxSource` without the outbox. */
export type ChangeSourceOptions = Omit<OutboxSourceOptions, 'outbox'>;

/**
 * The committed row changes of the tables that `installCapture` watches; an `outboxSource` over `cachekit.change`.
 *
 * A TRUNCATE of a captured table arrives as the gap `source`, in its place between the changes before and after it.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an option that `outboxSource` refuses; from `start` if
 * nothing was captured yet.
 * @example
 * await installCapture(sql, { tables: { calls: { key: ['id'], tenant: 'user_id' } } });
 * const source = changeSource({ sql, listener });
 */
export function changeSource(options: ChangeSourceOptions): ChangeSource {
  return outboxSource({ ...options, outbox: changeOutbox });
}
