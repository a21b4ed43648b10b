import { wakeSql } from '@cachekit/core/postgres';
import { wakeSubject } from './mark-trigger.ts';

/**
 * Body of `cachekit.mark_groups(view, wanted)`: marks the groups whose keys have these values, each by its whole key, so
 * that a refresh looks up those groups only. Groups are found in the rows and among those that are stored: one may have
 * come, and one may have gone. What is written meanwhile marks itself.
 */
export const markGroupsBody: string = `
DECLARE
  program jsonb := (SELECT v.rollup->'program' FROM cachekit.view v WHERE v.name = view_name AND v.kind = 'rollup');
  k record;
  marked bigint;
BEGIN
  IF program IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('search_path', program->>'searchPath', true), set_config('TimeZone', 'UTC', true),
    set_config('row_security', 'off', true);
  SELECT string_agg('k' || (e.at - 1), ', ' ORDER BY e.at) AS columns,
    string_agg(e.key->>'sql', ', ' ORDER BY e.at) AS of_rows,
    string_agg(format('r.%I', e.key->>'name'), ', ' ORDER BY e.at) AS of_groups,
    string_agg(CASE WHEN wanted ? (e.key->>'name') THEN format('%s = %L::%s', e.key->>'sql', wanted->>(e.key->>'name'), e.key->>'type')
      ELSE format('%s IS NOT NULL', e.key->>'sql') END, ' AND ') AS among_rows,
    string_agg(format('r.%I = %L::%s', e.key->>'name', wanted->>(e.key->>'name'), e.key->>'type'), ' AND ')
      FILTER (WHERE wanted ? (e.key->>'name')) AS among_groups
  INTO k
  FROM jsonb_array_elements(program->'keys') WITH ORDINALITY e (key, at);
  EXECUTE format('INSERT INTO %s (view, source, %s) SELECT %L, ''call'', g.* FROM (SELECT %s FROM %s t WHERE %s UNION SELECT %s FROM %s r WHERE %s) g',
    program->>'log', k.columns, view_name, k.of_rows, program->>'source', k.among_rows, k.of_groups, program->>'table', k.among_groups);
  GET DIAGNOSTICS marked = ROW_COUNT;
  ${wakeSql(wakeSubject)};
  RETURN marked;
END`;
