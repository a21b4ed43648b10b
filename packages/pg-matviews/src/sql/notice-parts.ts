import { wakeSql } from '@cachekit/core/postgres';
import { wakeSubject } from './mark-trigger.ts';

/**
 * SQL for the parts of the table `relation` whose rows are among its own: partitions on all levels, or tables that inherit from it. Rows of
 * one that is being detached concurrently are no longer.
 *
 * @param relation - SQL for its oid.
 */
export const partsSql = (relation: string): string => `(WITH RECURSIVE parts (relid) AS (
    SELECT inhrelid FROM pg_inherits WHERE inhparent = ${relation} AND NOT inhdetachpending
    UNION SELECT i.inhrelid FROM parts JOIN pg_inherits i ON i.inhparent = parts.relid AND NOT i.inhdetachpending)
  SELECT coalesce(array_agg(relid::oid ORDER BY relid), '{}') FROM parts)`;

/**
 * `cachekit.notice_parts(views)`: marks everything of the views whose tables got or lost parts with rows since the last look, which fires
 * no trigger. A part that came without a page on disk is empty, and what is written to it marks by itself.
 *
 * What is remembered is never newer than the look, so a part that comes meanwhile is found by the next one; so is what somebody who
 * applies views has locked.
 */
export const noticePartsBody: string = `
DECLARE
  s record;
BEGIN
  FOR s IN SELECT w.view, w.source, w.parts AS before, n.parts, v.rollup#>>'{program,log}' AS log, v.rollup#>>'{program,mask}' AS mask
    FROM cachekit.view_source w JOIN cachekit.view v ON v.name = w.view
    CROSS JOIN LATERAL ${partsSql('to_regclass(w.source)')} AS n (parts)
    WHERE w.view = ANY (views) AND n.parts IS DISTINCT FROM w.parts AND to_regclass(w.source) IS NOT NULL
    FOR UPDATE OF w SKIP LOCKED
  LOOP
    UPDATE cachekit.view_source w SET parts = s.parts WHERE w.view = s.view AND w.source = s.source;
    CONTINUE WHEN s.before IS NULL OR s.parts @> s.before
      AND NOT EXISTS (SELECT FROM unnest(s.parts) p WHERE p <> ALL (s.before) AND pg_relation_size(p) > 0);
    IF s.log IS NULL THEN
      INSERT INTO cachekit.mark (view, source, everything) VALUES (s.view, s.source, true);
    ELSE
      EXECUTE format('INSERT INTO %s (view, source, everything, wild) VALUES ($1, $2, true, $3)', s.log)
      USING s.view, s.source, s.mask::integer;
    END IF;
    ${wakeSql(wakeSubject)};
  END LOOP;
END`;

/** Gives whoever may refresh the right to look for parts: that came with a later version than their rights. */
export const copyNoticeRightsSql: string = `DO $do$ DECLARE
  g record;
BEGIN
  FOR g IN SELECT CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END AS grantee
    FROM pg_proc p, aclexplode(p.proacl) e
    WHERE p.oid = 'cachekit.refresh(text, boolean, numeric, boolean)'::regprocedure AND e.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION cachekit.notice_parts(text[]) TO %s', g.grantee);
  END LOOP;
END $do$`;
