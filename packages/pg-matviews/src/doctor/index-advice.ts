import type { SqlExecutor } from '@cachekit/core';
import { parseQualifiedName, quoteIdentifier, quoteQualified } from '@cachekit/core/postgres';
import { fittingIdentifier } from '../identifier.ts';
import type { RollupProgram } from '../rollup/objects.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { tried } from './probe.ts';

/** An index that the planner took when it was there. */
export interface IndexAdvice {
  readonly table: string;
  readonly columns: readonly string[];
  /** Cost of finding the rows of one group in a sample of the table, in the units of the planner. */
  readonly costBefore: number;
  /** The same with the index. */
  readonly costAfter: number;
  /** To be run by itself. */
  readonly create: string;
}

/** As much of the table is looked at. */
const sampleBytes = 16 * 1024 * 1024;
/** Fewer rows are read as fast without an index. */
const fewRows = 1_000;
/** An index is worth its upkeep if it makes the look-up so many times cheaper. */
const worthwhile = 2;
/** A look-up that costs less, some 25 pages, is cheap by whatever index: the planner takes keys that go together for independent. */
const cheap = 100;

/**
 * The index that makes the rows of a group cheap to find, unless there is one.
 *
 * The planner decides: a sample of the table with its indexes and statistics is put into a temporary table, and the
 * very statement of the refresh is planned over it, without and with the candidate.
 */
export async function adviseIndex(
  sql: SqlExecutor,
  program: RollupProgram,
): Promise<IndexAdvice | undefined> {
  const columns = candidate(program);
  const source = parseQualifiedName(program.source);
  const read = [`${program.source} b`, `${quoteQualified(source)} t`, `${quoteIdentifier(source.name)} t`]
    .map((table) => `FROM ${table} WHERE`)
    .find((one) => program.exact.includes(one));
  if (columns === undefined || read === undefined) return undefined;
  const [table] = await jsonRows<{ bytes: number; served: boolean; partitioned: boolean }>(sql, tableSql, [
    program.source,
    JSON.stringify(columns),
  ]);
  if (table === undefined || table.served) return undefined;
  const list = columns.map(quoteIdentifier).join(', ');
  const share = Math.min(100, (100 * sampleBytes) / Math.max(table.bytes, 1));
  const statement = program.exact.replaceAll(
    read,
    `FROM pg_temp.cachekit_sample ${read.endsWith(' b WHERE') ? 'b' : 't'} WHERE`,
  );
  const costs = await tried(sql, async (savepoint) => {
    await savepoint.query(`SELECT set_config('search_path', $1, true), set_config('jit', 'off', true)`, [
      program.searchPath,
    ]);
    await savepoint.query(
      `CREATE TEMPORARY TABLE cachekit_sample (LIKE ${program.source} INCLUDING INDEXES)`,
    );
    const { rowCount } = await savepoint.query(
      `INSERT INTO pg_temp.cachekit_sample SELECT * FROM ${program.source} TABLESAMPLE SYSTEM (${share.toFixed(4)})`,
    );
    if (rowCount < fewRows) return undefined;
    await savepoint.query('ANALYZE pg_temp.cachekit_sample');
    const before = await scanOf(savepoint, statement);
    await savepoint.query(`CREATE INDEX cachekit_candidate ON pg_temp.cachekit_sample (${list})`);
    return { before, after: await scanOf(savepoint, statement) };
  });
  if (costs?.before === undefined || costs.after === undefined) return undefined;
  const { before, after } = costs;
  if (!after.indexes.includes('cachekit_candidate') || before.cost < Math.max(cheap, worthwhile * after.cost))
    return undefined;
  const index = quoteIdentifier(fittingIdentifier([source.name, ...columns, 'idx'].join('_')));
  return {
    table: program.source,
    columns,
    costBefore: before.cost,
    costAfter: after.cost,
    // Of a partitioned table no index can be made concurrently.
    create: `CREATE INDEX ${table.partitioned ? '' : 'CONCURRENTLY '}${index} ON ${program.source} (${list})`,
  };
}

/** Columns that equal a key, then the one a key is a bucket of: after a range, no further column narrows. */
function candidate({ keys }: RollupProgram): readonly string[] | undefined {
  const equal: string[] = [];
  const ranges: string[] = [];
  for (const { sql } of keys) {
    const column = /t\.("(?:[^"]|"")+")/.exec(sql)?.[1];
    if (column === undefined) return undefined;
    const name = column.slice(1, -1).replaceAll('""', '"');
    (sql === `t.${column}` ? equal : ranges).push(name);
  }
  return [...new Set([...equal, ...ranges.slice(0, 1)])];
}

/** An index that begins with the columns, in any order of those that are equal, serves already. */
const tableSql = `
SELECT (SELECT coalesce(sum(pg_relation_size(r.relid)), 0) FROM (SELECT c.oid AS relid UNION SELECT relid FROM pg_partition_tree(c.oid)) r) AS bytes,
  c.relkind = 'p' AS partitioned,
  EXISTS (SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree'
    WHERE x.indrelid = c.oid AND x.indisvalid AND x.indpred IS NULL
      AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM unnest(x.indkey[0:jsonb_array_length($2::jsonb) - 1]) k
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k)
        = (SELECT array_agg(w ORDER BY w) FROM jsonb_array_elements_text($2::jsonb) w)) AS served
FROM pg_class c WHERE c.oid = to_regclass($1)`;

interface PlanNode {
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Total Cost': number;
  readonly Plans?: readonly PlanNode[];
}

/** How a plan reads the sample: at what cost, and by which indexes. */
async function scanOf(
  sql: SqlExecutor,
  statement: string,
): Promise<{ readonly cost: number; readonly indexes: readonly string[] } | undefined> {
  const { rows } = await sql.query<{ 'QUERY PLAN': unknown }>(`EXPLAIN (FORMAT JSON) ${statement}`);
  const said = rows[0]?.['QUERY PLAN'];
  const [top] = (typeof said === 'string' ? JSON.parse(said) : said) as readonly {
    readonly Plan: PlanNode;
  }[];
  const nodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodes)];
  const scan =
    top === undefined
      ? undefined
      : nodes(top.Plan).find((node) => node['Relation Name'] === 'cachekit_sample');
  if (scan === undefined) return undefined;
  const indexes = nodes(scan).flatMap((node) => node['Index Name'] ?? []);
  return { cost: scan['Total Cost'], indexes };
}
