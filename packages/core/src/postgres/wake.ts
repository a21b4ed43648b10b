import { quoteLiteral } from './quote.ts';

/** Name of the channel on which the writers of `subject` wake its consumers. */
export function wakeChannel(subject: string): string {
  return `cachekit_${subject}`;
}

/** Whether a transaction that notifies can end as every other: PREPARE TRANSACTION refuses it. */
const mayNotify = `pg_catalog.current_setting('max_prepared_transactions') = '0'`;

/**
 * The statement with which a writer wakes the consumers of `subject`, but only while one of them sleeps.
 *
 * NOTIFY takes a lock that all commits of the server share, so it is left out while the consumers are reading anyway.
 * It goes after the write it tells of, in the same transaction: the arming protocol relies on the writer having its
 * transaction id before it reads the flag. The writer needs the right to read `cachekit.wake`, so in a trigger it
 * stands in a SECURITY DEFINER function.
 *
 * A transaction that notifies cannot be prepared, so on a server that allows prepared transactions nobody is woken and the
 * consumers find what was written when they look.
 *
 * @param subject - What was written: the outbox, such as `change`.
 * @param verb - `perform` inside PL/pgSQL, `select` elsewhere.
 * @returns The statement without a semicolon.
 * @example
 * wakeSql('change'); // "perform pg_catalog.pg_notify('cachekit_change', '') where exists (...)"
 */
export function wakeSql(subject: string, verb: 'perform' | 'select' = 'perform'): string {
  return (
    `${verb} pg_catalog.pg_notify(${quoteLiteral(wakeChannel(subject))}, '') where exists ` +
    `(select from cachekit.wake w where w.subject = ${quoteLiteral(subject)} and w.armed) and ${mayNotify}`
  );
}

/**
 * `$1` consumer, `$2` subject: from now on writers wake this consumer.
 *
 * Writers that read the flag before this commit do not. They already had their transaction ids, so the consumer reads
 * on until every id assigned before {@link armingHorizonSql} has ended.
 */
export const armSql: string = `
  insert into cachekit.wake as w (name, subject, armed) values ($1, $2, true)
  on conflict (name) do update set subject = excluded.subject, armed = true`;

/**
 * An id greater than that of every writer which may have missed the arming. Taken in a transaction after the one that
 * armed; a snapshot's xmax would not do, as it is not above the ids that are assigned but not ended.
 */
export const armingHorizonSql: string = 'select pg_current_xact_id()::text as horizon';

/** `$1` consumer: it reads anyway, so writers need not wake it. */
export const disarmSql: string = 'update cachekit.wake set armed = false where name = $1 and armed';
