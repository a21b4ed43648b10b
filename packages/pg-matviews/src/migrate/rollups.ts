import { ConfigurationError } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { fnv1a } from '../identifier.ts';
import { liveName } from '../rollup/compiled-rollup.ts';
import { assertRollup } from '../rollup/definition.ts';
import {
  createTableSql,
  createViewsSql,
  logName,
  programOf,
  type RollupPlace,
  type RollupProgram,
  type RollupShape,
  runName,
  tableName,
  wholeMask,
} from '../rollup/objects.ts';
import { assertColumnsOfUser } from '../rollup/own-names.ts';
import { runFunctionSql } from '../rollup/run-function.ts';
import type { LogMark } from '../sql/mark-trigger.ts';
import { relationSql } from '../sql/relation.ts';
import { isStored, type ViewDefinition } from '../view.ts';
import { copyLogRightsSql } from './log-rights.ts';
import { treeSql } from './record-sql.ts';
import type { SourceRecord, ViewRecord } from './records.ts';
import { searchPath } from './session.ts';
import type { SourceTable } from './source-table.ts';
import type { WantedView } from './wanted.ts';

/** A rollup of the catalog, ready to be compared with what was applied and to be created. */
export interface WantedRollup {
  readonly shape: RollupShape;
  /** Everything that is generated from the definition, without the version. */
  readonly spec: string;
  readonly place: RollupPlace;
  /** Where its statements find names, and the operators of its keys. */
  readonly path: string;
  /** The version that was applied. */
  readonly before: number | undefined;
}

/**
 * What the server and the tables make of a rollup's definition.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if its table or a column of its key is not there, a bucket is over
 * a column of another type than it says, or it reads a stored view.
 */
export function wantedRollup(
  schema: string,
  view: ViewDefinition,
  wanted: WantedView,
  tables: ReadonlyMap<string, SourceTable>,
  kinds: ReadonlyMap<string, ViewDefinition['kind']>,
  record: ViewRecord | undefined,
): WantedRollup {
  const rollup = assertRollup(view);
  const what = `Rollup "${view.name}"`;
  const stored = wanted.uses.find((used) => isStored(kinds.get(used)));
  if (stored !== undefined)
    throw new ConfigurationError(`${what} reads "${stored}", which is stored itself; read its tables`);
  const table = tables.get(rollup.from);
  if (table === undefined) throw new ConfigurationError(`${what}: there is no table "${rollup.from}"`);
  const keyTypes = rollup.keys.map(({ name, column, bucket }) => {
    const found = table.columns.find((one) => one.name === column);
    if (found === undefined) throw new ConfigurationError(`${what}: ${table.name} has no column "${column}"`);
    if (bucket === undefined) return `${found.sqlType}${found.collation}`;
    const needed = bucket.storedIn === undefined ? 'timestamptz' : 'timestamp';
    if (found.type !== needed) {
      throw new ConfigurationError(
        `${what}: "${name}" is a bucket of ${table.name}.${column}, which is ${found.sqlType}; ${needed === 'timestamp' ? 'storedIn is for timestamp without time zone' : 'give a timestamptz, or say with storedIn in which zone a timestamp is meant'}`,
      );
    }
    return ['day', 'week', 'month'].includes(bucket.unit) ? 'date' : 'timestamp with time zone';
  });
  const derived = new Set(rollup.derived.map(([column]) => column));
  const keys = new Set(rollup.keys.map((key) => key.name));
  for (const key of keys) {
    if (!wanted.columns.includes(key))
      throw new ConfigurationError(`${what}: the query gives no column "${key}"`);
  }
  const shape: RollupShape = {
    rollup,
    keyTypes,
    stored: rollup.stored ?? wanted.columns.filter((column) => !derived.has(column) && !keys.has(column)),
    texts: new Set(wanted.texts),
    source: table.name,
    sourceColumns: [
      ...new Set([
        ...rollup.keys.map((key) => key.column),
        ...(wanted.tables.find(({ oid }) => oid === table.oid)?.columns ?? []),
      ]),
    ].sort(),
  };
  assertColumnsOfUser(what, shape.stored);
  const neutral: RollupPlace = { view: view.name, schema, version: 0, tenant: view.tenant };
  const before = record?.rollup?.version;
  const path = searchPath(
    schema,
    rollup.keys.flatMap(({ column }) => table.columns.find(({ name }) => name === column)?.schema ?? []),
  );
  return {
    shape,
    spec: JSON.stringify([
      wanted.definition,
      view.sources,
      createTableSql(neutral, shape),
      createViewsSql(neutral, shape),
      programOf(neutral, shape, path),
    ]),
    path,
    place: { ...neutral, version: (before ?? 0) + 1 },
    before,
  };
}

/** What refreshes of the next version run. */
export function programFor({ place, shape, path }: WantedRollup): RollupProgram {
  return programOf(place, shape, path);
}

/** The statements with the search path of a rollup, and that of the session after them. */
export function underPath({ place, path }: WantedRollup, statements: readonly string[]): string[] {
  const usual = searchPath(place.schema);
  if (path === usual) return [...statements];
  const set = (to: string): string => `SELECT set_config('search_path', ${quoteLiteral(to)}, true)`;
  return [set(path), ...statements, set(usual)];
}

/** How a write to one of its tables marks a rollup: its own table by whole keys, the others by what they know of them. */
export function logMark(program: RollupProgram, { source, key }: SourceRecord): LogMark {
  if (source === program.source)
    return {
      log: program.log,
      table: program.table,
      keys: program.keys.map(({ sql, column = sql }) => ({ sql, column })),
      many: program.many === true,
      mask: program.mask,
    };
  return {
    log: program.log,
    table: program.table,
    keys: program.keys.map(({ name }) => {
      if (key[name] === undefined) return undefined;
      const column = `t.${quoteIdentifier(key[name])}`;
      return { sql: column, column };
    }),
    many: false,
    mask: program.mask,
  };
}

/** Statements that fill the next version aside; nobody waits for them. */
export function fillRollupSql({ place, shape }: WantedRollup): string[] {
  return [
    `SELECT set_config(${quoteLiteral(filledSetting(place))}, pg_current_snapshot()::text, true)`,
    ...createTableSql(place, shape),
  ];
}

/** Holds, until the end of the transaction, a snapshot that is not later than the one the rows were read in. */
function filledSetting({ view }: RollupPlace): string {
  return `cachekit.filled_${fnv1a(view)}`;
}

/** Statements that write down a rollup whose views were created, and make the server plan what a refresh will run. */
export function recordRollupSql(schema: string, view: ViewDefinition, rollup: WantedRollup): string[] {
  const { place, spec } = rollup;
  const program = programFor(rollup);
  const name = quoteLiteral(view.name);
  const deparsed = (relation: string): string =>
    `pg_get_viewdef(${quoteLiteral(relationSql(schema, relation))}::regclass)`;
  return [
    ...underPath(rollup, [
      `EXPLAIN ${program.exact}`,
      `EXPLAIN ${program.partial}`,
      `EXPLAIN ${program.whole}`,
    ]),
    runFunctionSql(program),
    `INSERT INTO cachekit.view AS v (name, schema, kind, tenant, refresh, definition, server_version, tree, rollup, fresh_as_of)
VALUES (${name}, ${quoteLiteral(schema)}, 'rollup', ${view.tenant === undefined ? 'NULL' : quoteLiteral(view.tenant)}, 'auto',
  ${deparsed(view.name)}, current_setting('server_version_num')::integer,
  ${treeSql([view.name, liveName(view.name)].map((one) => quoteLiteral(relationSql(schema, one))))},
  jsonb_build_object('version', ${place.version}, 'spec', ${quoteLiteral(spec)}, 'live', ${deparsed(liveName(view.name))}, 'program', ${quoteLiteral(JSON.stringify(program))}::jsonb),
  transaction_timestamp())
ON CONFLICT (name) DO UPDATE SET schema = excluded.schema, kind = excluded.kind, tenant = excluded.tenant,
  refresh = excluded.refresh, definition = excluded.definition, server_version = excluded.server_version, tree = excluded.tree, indexes = '{}',
  rollup = excluded.rollup, fresh_as_of = excluded.fresh_as_of, expired_on = NULL, failures = 0, last_error = NULL,
  failed_at = NULL, paused = nullif(v.paused, 'failures')`,
    copyLogRightsSql([view.name]),
  ];
}

/**
 * Statement that marks every group of a version, unless nobody can have written between the filling and now. It runs
 * when the tables are locked and all who wrote to them have ended: if no transaction has ended since the filling, and
 * none was under way then, the rows are those that were read.
 */
export function markRollupSql({ place, shape }: WantedRollup): string {
  return `INSERT INTO ${relationSql('cachekit', logName(place.view, place.version))} (view, source, everything, wild)
SELECT ${quoteLiteral(place.view)}, 'apply', true, ${wholeMask(shape.rollup)}
FROM (SELECT current_setting(${quoteLiteral(filledSetting(place))})::pg_snapshot AS then) f
WHERE pg_snapshot_xmax(f.then) <> pg_snapshot_xmax(pg_current_snapshot())
  OR EXISTS (SELECT FROM pg_snapshot_xip(f.then) x WHERE x <> pg_current_xact_id())`;
}

/** Statements that drop the table and the log of a version. */
export function dropRollupSql(view: string, version: number): string[] {
  return [
    `DROP TABLE IF EXISTS ${relationSql('cachekit', tableName(view, version))}`,
    `DROP TABLE IF EXISTS ${relationSql('cachekit', logName(view, version))}`,
    `DROP FUNCTION IF EXISTS ${relationSql('cachekit', runName(view, version))}(text)`,
  ];
}
