import type { SqlExecutor } from '@cachekit/core';
import type { RollupProgram } from '../rollup/objects.ts';
import { jsonRows } from '../sql/json-rows.ts';
import type { ViewKind } from '../view.ts';

/** What was applied for a view. */
export interface ViewRecord {
  readonly name: string;
  readonly schema: string;
  readonly kind: ViewKind;
  readonly tenant: string | null;
  readonly refresh: string;
  /** As the server deparsed it right after it was created. */
  readonly definition: string;
  /** Digest of the query right after it was created, of a rollup of both its views; `null` if nobody wrote it down. */
  readonly tree: string | null;
  /** Deparsing differs between versions of PostgreSQL. */
  readonly sameServer: boolean;
  readonly indexes: Readonly<Record<string, { readonly wanted: string; readonly actual: string }>>;
  readonly rollup: RollupRecord | null;
}

/** What was applied for a rollup beside its view. */
interface RollupRecord {
  readonly version: number;
  /** Everything that was generated from the definition, for comparison. */
  readonly spec: string;
  /** The exact view, as the server deparsed it. */
  readonly live: string;
  /** Whether its table and its log are there. */
  readonly present: boolean;
  readonly program: RollupProgram;
}

/** Which columns of a table mark a view. */
export interface SourceRecord {
  readonly view: string;
  /** Schema and name, both quoted where they must be. */
  readonly source: string;
  readonly tenant: string | null;
  readonly key: Readonly<Record<string, string>>;
  /** Columns whose change counts, sorted. */
  readonly columns: readonly string[];
}

/** A materialized view and one that is computed from it. */
export interface EdgeRecord {
  readonly parent: string;
  readonly child: string;
}

/** Everything that was applied to this database, by this catalog and by others. */
export interface Records {
  readonly installed: boolean;
  readonly views: readonly ViewRecord[];
  readonly sources: readonly SourceRecord[];
  readonly edges: readonly EdgeRecord[];
}

export async function readRecords(sql: SqlExecutor): Promise<Records> {
  const { rows } = await sql.query<{ installed: boolean }>(
    `SELECT to_regclass('cachekit.view') IS NOT NULL AND to_regclass('cachekit.view_source') IS NOT NULL
       AND to_regclass('cachekit.view_edge') IS NOT NULL AND to_regclass('cachekit.mark') IS NOT NULL AS installed`,
  );
  if (!rows[0]?.installed) return { installed: false, views: [], sources: [], edges: [] };
  const views = await jsonRows<ViewRecord>(
    sql,
    `SELECT name, schema, kind, tenant, refresh, definition, to_jsonb(v)->>'tree' AS tree, indexes, CASE WHEN to_jsonb(v)->'rollup' <> 'null' THEN to_jsonb(v)->'rollup' || jsonb_build_object('present',
         to_regclass(to_jsonb(v)#>>'{rollup,program,table}') IS NOT NULL AND to_regclass(to_jsonb(v)#>>'{rollup,program,log}') IS NOT NULL) END AS rollup,
       server_version = current_setting('server_version_num')::integer AS "sameServer"
     FROM cachekit.view v ORDER BY name`,
  );
  const sources = await jsonRows<SourceRecord>(
    sql,
    `SELECT view, source, tenant, key, columns FROM cachekit.view_source ORDER BY view, source`,
  );
  const edges = await jsonRows<EdgeRecord>(
    sql,
    `SELECT parent, child FROM cachekit.view_edge ORDER BY parent, child`,
  );
  return { installed: true, views, sources, edges };
}
