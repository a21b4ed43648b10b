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

/** What writes marks to one log, each without its end. */
export interface BoundedMarks {
  readonly log: string;
  /** Table of the rollup they are about. */
  readonly groups: string | undefined;
  readonly everything: string;
  readonly many: string;
  /** If the statement was about one row. */
  readonly one: string;
}

/**
 * PL/pgSQL that writes the marks of a statement, as many as the transaction may; one for everything if it is not known
 * how many rows it was about.
 *
 * The count is kept in a setting that ends with the transaction, and goes back with a savepoint as the marks do; it is
 * believed only with the id of this transaction. Whether a rollup has so many groups that more marks are worth it is looked
 * up when they are that many; marks that are written twice do no harm.
 */
export function boundedSql({ log, groups, everything, many, one }: BoundedMarks): string {
  const counter = quoteLiteral(`cachekit.marks_${fnv1a(log)}`);
  const full = quoteLiteral(`cachekit.full_${fnv1a(log)}`);
  const xid = 'pg_current_xact_id()::text';
  const limit =
    groups === undefined
      ? ''
      : `most := greatest(most, (SELECT c.reltuples * ${wholeShare} FROM pg_class c WHERE c.oid = to_regclass(${quoteLiteral(groups)}))::bigint);`;
  const several = `${many} LIMIT greatest(0, most + 1 - spent);
      GET DIAGNOSTICS written = ROW_COUNT;`;
  const again =
    limit === ''
      ? ''
      : `
      IF spent < ${mostMarks} AND spent + written > most THEN
        ${limit}
        IF most > ${mostMarks} THEN
          ${several}
        END IF;
      END IF;`;
  return `IF NOT many AND clock_timestamp() < transaction_timestamp() + interval '${uncounted}' THEN
      ${one};
    ELSIF many IS NULL THEN
      ${everything}
    ELSIF coalesce(current_setting(${full}, true), '') = '' OR current_setting(${full}, true) <> ${xid} THEN
      told := current_setting(${counter}, true);
      spent := CASE WHEN split_part(told, ':', 1) = ${xid} THEN split_part(told, ':', 2)::bigint ELSE 0 END;
      most := ${mostMarks};${limit === '' ? '' : `\n      IF spent >= most THEN ${limit} END IF;`}
      ${several}${again}
      IF written > 0 THEN
        told := set_config(${counter}, ${xid} || ':' || spent + written, true);
        IF spent + written > most THEN
          ${everything}
          told := set_config(${full}, ${xid}, true);
        END IF;
      END IF;
    END IF;`;
}
