import { quoteLiteral } from '@cachekit/core/postgres';
import { fnv1a } from '../identifier.ts';
import { wholeShare } from './refresh-function.ts';

/**
 * Most marks that a transaction writes to one log; with one more it marks everything, and nothing after that. For a rollup
 * they may also be as many as the groups that a refresh recomputes one by one.
 */
const mostMarks = 10_000;
/** Marks of single rows are counted from this age of the transaction on: before, it has no time for many of them. */
const uncounted = '100 milliseconds';

/** What writes marks to one log. */
export interface BoundedMarks {
  readonly log: string;
  /** Table of the rollup they are about. */
  readonly groups: string | undefined;
  readonly everything: string;
  /** Statements that write at most so many marks, each as a row, and leave in `written` how many they were. */
  rows(limit: string): string;
  /** The same, or all of them in one row; for few enough that they are one value. `written` may be null for none. */
  many(limit: string): string;
  /** If the statement was about one row, without its end. */
  readonly one: string;
}

/** {@link BoundedMarks.rows} of an INSERT without its end. */
export function countedSql(insert: string): BoundedMarks['rows'] {
  return (limit) => `${insert} LIMIT ${limit};
        GET DIAGNOSTICS written = ROW_COUNT;`;
}

/**
 * PL/pgSQL that writes the marks of a statement, as many as the transaction may; one for everything if it is not known
 * how many rows it was about.
 *
 * The count is kept in a setting that ends with the transaction, and goes back with a savepoint as the marks do; it is
 * believed only with the id of this transaction, and below zero once everything is marked. Whether a rollup has so many groups
 * that more marks are worth it is looked up when they are that many; marks that are written twice do no harm.
 */
export function boundedSql({ log, groups, everything, rows, many, one }: BoundedMarks): string {
  const counter = quoteLiteral(`cachekit.marks_${fnv1a(log)}`);
  const xid = 'pg_current_xact_id()::text';
  const worth =
    groups === undefined
      ? ''
      : `most := greatest(most, (SELECT c.reltuples * ${wholeShare} FROM pg_class c WHERE c.oid = to_regclass(${quoteLiteral(groups)}))::bigint);`;
  const rest = rows('greatest(0, most + 1 - spent)');
  const several =
    worth === ''
      ? rest
      : `IF spent < most THEN
          ${many('most + 1 - spent')}
          IF spent + written > most THEN
            ${worth}
            IF most > ${mostMarks} THEN
              ${rest}
            END IF;
          END IF;
        ELSE
          ${worth}
          ${rest}
        END IF;`;
  return `IF NOT many AND clock_timestamp() < transaction_timestamp() + interval '${uncounted}' THEN
      ${one};
    ELSIF many IS NULL THEN
      ${everything}
    ELSE
      told := current_setting(${counter}, true);
      spent := CASE WHEN split_part(told, ':', 1) = ${xid} THEN split_part(told, ':', 2)::bigint ELSE 0 END;
      IF spent >= 0 THEN
        most := ${mostMarks};
        ${several}
        IF written > 0 THEN
          spent := spent + written;
          IF spent > most THEN
            ${everything}
            spent := -1;
          END IF;
          told := set_config(${counter}, ${xid} || ':' || spent, true);
        END IF;
      END IF;
    END IF;`;
}
