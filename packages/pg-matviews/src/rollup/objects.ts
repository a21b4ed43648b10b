import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { relationSql } from '../sql/relation.ts';
import type { Rollup } from './compiled-rollup.ts';
import { isShownAsStored, liveName, shownSql } from './compiled-rollup.ts';
import { coversSql, keySql } from './key.ts';
import { eachMarkSql, holdsMany, logColumns } from './log.ts';

/** Where the parts of one version of a rollup are. */
export interface RollupPlace {
  readonly view: string;
  readonly schema: string;
  readonly version: number;
  readonly tenant: string | undefined;
}

/** A rollup as the server sees its pieces. */
export interface RollupShape {
  readonly rollup: Rollup;
  /** Types of the keys, in their order, as SQL. */
  readonly keyTypes: readonly string[];
  /** Columns of a stored group after the keys. */
  readonly stored: readonly string[];
  /** Those of them whose type has no `=` that says "the same". */
  readonly texts: ReadonlySet<string>;
  /** The table, qualified and quoted. */
  readonly source: string;
  /** Columns of the table that the groups are made of. */
  readonly sourceColumns: readonly string[];
}

/** What the refresh of a rollup runs, kept in `cachekit.view` so that any process and any tool can. */
export interface RollupProgram {
  readonly table: string;
  readonly log: string;
  /** Function that runs `load` and `exact` with plans that a session keeps; that of an older version has none. */
  readonly run?: string;
  readonly searchPath: string;
  /** The table that is summed up, qualified and quoted. */
  readonly source: string;
  /** Key columns, their types and what they are of a row `t` of the table, in the order of `k0`, `k1`, ... of the log. */
  readonly keys: readonly RollupProgramKey[];
  readonly mask: number;
  /** Whether a row of the log may be about many groups; that of an older version is about one. */
  readonly many?: boolean;
  /** One row: marks, dirty groups (about), whether marks name parts of a key only, or nothing of it, groups (about). */
  readonly load: string;
  /** Recomputes the groups of the marks that name one; other marks stay. */
  readonly exact: string;
  /** Recomputes the groups of all marks. */
  readonly partial: string;
  /** Recomputes all groups. */
  readonly whole: string;
  /** Removes groups that no reader's window reaches; empty without a window. */
  readonly expire: string;
  /** Marks every group that is wrong and not marked; gives how many were looked at and how many were wrong. */
  readonly reconcile: string;
}

/** A key of {@link RollupProgram.keys}. */
interface RollupProgramKey {
  readonly name: string;
  readonly type: string;
  readonly sql: string;
  /** What is null exactly if the key is; an older version has the key itself for it. */
  readonly column?: string;
}

/** Above so many changed keys the outbox tells the tenants instead, and above so many tenants "everything". */
const mostTold = 10_000;

const q = quoteIdentifier;

/** Name of the table of a version, in schema `cachekit`. */
export function tableName(view: string, version: number): string {
  return `${view}__v${version}`;
}

/** Name of the mark log of a version, in schema `cachekit`. */
export function logName(view: string, version: number): string {
  return `${view}__m${version}`;
}

/** Name of the function of a version that refreshes it, in schema `cachekit`. */
export function runName(view: string, version: number): string {
  return `${view}__r${version}`;
}

/** Bits of all keys. */
export function wholeMask(rollup: Rollup): number {
  return 2 ** rollup.keys.length - 1;
}

/** Statements that create the table of a version with its rows, and the log that marks it. */
export function createTableSql(place: RollupPlace, shape: RollupShape): string[] {
  const { rollup } = shape;
  const table = relationSql('cachekit', tableName(place.view, place.version));
  const log = relationSql('cachekit', logName(place.view, place.version));
  const expired = rollup.expired === undefined ? '' : ` WHERE NOT (${rollup.expired})`;
  const statements = [
    `CREATE TABLE ${table} WITH (fillfactor = 70) AS SELECT g.* FROM (${rollup.groups}) g${expired}`,
    `ALTER TABLE ${table} ADD PRIMARY KEY (${rollup.keys.map((key) => q(key.name)).join(', ')})`,
    `ANALYZE ${table}`,
    `CREATE TABLE ${log} (${logColumns(shape.keyTypes).definitions.join(', ')}, wild integer NOT NULL DEFAULT 0) INHERITS (cachekit.mark) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
  ];
  if (rollup.setting !== undefined && place.tenant !== undefined) {
    statements.push(
      `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
      `CREATE POLICY tenant ON ${table} FOR SELECT USING (${tenantSql(q(place.tenant), rollup.setting)})`,
    );
  }
  return statements;
}

/**
 * Statements that create the two views of a rollup. They read with the rights of their owner, so a reader needs no right
 * on anything else; with a tenant setting they show what row-level security of the table would.
 */
export function createViewsSql(
  place: RollupPlace,
  shape: RollupShape,
): { readonly shown: string; readonly live: string } {
  const { rollup } = shape;
  const table = relationSql('cachekit', tableName(place.view, place.version));
  const live = liveGroupsSql(place, shape);
  const guarded = (query: string): string =>
    rollup.setting === undefined || place.tenant === undefined
      ? ` AS ${query}`
      : ` WITH (security_barrier = true) AS SELECT l.* FROM (${query}) l WHERE NOT (SELECT row_security_active(${quoteLiteral(table)}::regclass)) OR ${tenantSql(`l.${q(place.tenant)}`, rollup.setting)}`;
  return {
    shown: `CREATE VIEW ${relationSql(place.schema, place.view)}${guarded(shownSql(rollup, table))}`,
    live: `CREATE VIEW ${relationSql(place.schema, liveName(place.view))}${guarded(isShownAsStored(rollup) ? live : shownSql(rollup, `(${live})`))}`,
  };
}

/** The statements a refresh of the version runs. */
export function programOf(place: RollupPlace, shape: RollupShape, searchPath: string): RollupProgram {
  const { rollup, stored, keyTypes } = shape;
  const table = relationSql('cachekit', tableName(place.view, place.version));
  const log = relationSql('cachekit', logName(place.view, place.version));
  const ks = rollup.keys.map((_, at) => `k${at}`);
  const kept = rollup.expired === undefined ? 'true' : `NOT (${rollup.expired})`;
  const names = rollup.keys.map((key) => q(key.name));
  const rest = stored.map(q);
  const covered = (mark: string, row: string): string => matchSql(rollup, mark, row);

  const named = `SELECT ${ks.join(', ')} FROM ck_taken WHERE wild = 0`;
  // Groups that are stored, and groups that are not yet.
  const found = `UNION SELECT ${names.map((name) => `r.${name}`).join(', ')} FROM ${table} r WHERE EXISTS (SELECT FROM ck_taken p WHERE p.wild > 0 AND ${covered('p', 'r')})
  UNION SELECT ${names.map((name) => `r.${name}`).join(', ')} FROM (${rollup.groups}) r
    WHERE (SELECT count(*) FROM ck_taken WHERE wild > 0) > 0 AND EXISTS (SELECT FROM ck_taken p WHERE p.wild > 0 AND ${covered('p', 'r')})`;
  const asGroup =
    rollup.expired === undefined ? '' : ` WHERE NOT (${expiredSql(rollup, (_, at) => `d.k${at}`)})`;
  const { many } = logColumns(keyTypes);
  const taken = (which: string): string =>
    `ck_rows AS (DELETE FROM ${log}${which} RETURNING ${[...ks, ...many].join(', ')}, wild),
ck_taken AS (${eachMarkSql('ck_rows', keyTypes)})`;

  const compared = stored.map((name) => `${q(name)}${shape.texts.has(name) ? '::text' : ''}`);
  const differs = (a: string, b: string): string =>
    rest.length === 0
      ? 'false'
      : `(${compared.map((column) => `${a}.${column} IS DISTINCT FROM ${b}.${column}`).join(' OR ')})`;
  const few = (what: string): string => `(SELECT count(${what}) FROM ck_differing) <= ${mostTold}`;
  const tenant = place.tenant === undefined ? undefined : q(place.tenant);
  const told = `ck_told AS (
  INSERT INTO cachekit.view_change (tenant, source, operation, key)
  SELECT DISTINCT ${tenant === undefined ? 'NULL' : `CASE WHEN ${few(`DISTINCT ${tenant}`)} THEN d.${tenant}::text END`}, ${quoteLiteral(place.view)}, 'refresh',
    CASE WHEN ${few('*')} THEN jsonb_build_object(${rollup.keys.map((key) => `${quoteLiteral(key.name)}, d.${q(key.name)}`).join(', ')}) ELSE '{}'::jsonb END
  FROM ck_differing d)`;
  const merge = (on: string): string => `MERGE INTO ${table} r USING ck_differing n ON ${on}
WHEN MATCHED AND NOT n.ck_found THEN DELETE
${rest.length === 0 ? '' : `WHEN MATCHED THEN UPDATE SET ${rest.map((column) => `${column} = n.${column}`).join(', ')}\n`}WHEN NOT MATCHED AND n.ck_found THEN INSERT (${[...names, ...rest].join(', ')}) VALUES (${[...names, ...rest].map((column) => `n.${column}`).join(', ')})`;

  const columns = [...names, ...rest];
  // A session keeps the plan while the table grows from nothing, so it must not be a join that goes through the whole table: groups
  // are looked up one by one and found again by where they are, and the end of their condition, always true, makes them few.
  const computed = (
    which: string,
    dirty: string,
  ): string => `WITH ${taken(which)}, ck_dirty AS (SELECT DISTINCT * FROM (${dirty}) d${asGroup}), ck_differing AS MATERIALIZED (
  SELECT ${names.map((name, at) => `d.k${at} AS ${name}`).join(', ')}${rest.map((column) => `, c.${column}`).join('')}, c.ck_found IS NOT NULL AS ck_found, r.ck_at
  FROM ck_dirty d
  LEFT JOIN LATERAL (SELECT s.*, true AS ck_found FROM (${groupSql(shape)}) s OFFSET 0) c ON true
  LEFT JOIN LATERAL (SELECT r.*, r.ctid AS ck_at FROM ${table} r WHERE ${names.map((name, at) => `r.${name} = d.k${at}`).join(' AND ')} OFFSET 0) r ON true
  WHERE ((c.ck_found IS NULL) <> (r.ck_at IS NULL) OR (c.ck_found AND ${differs('r', 'c')})) AND d.k0 IS NOT DISTINCT FROM d.k0
), ${told}
${merge('r.ctid = n.ck_at')}`;
  const all = (
    also = '',
  ): string => `SELECT ${names.map((name) => `coalesce(c.${name}, r.${name}) AS ${name}`).join(', ')}${rest.map((column) => `, c.${column}`).join('')}, c.${names[0]} IS NOT NULL AS ck_found${also}
  FROM (SELECT g.* FROM (${rollup.groups}) g WHERE ${kept}) c
  FULL JOIN ${table} r ON ${names.map((name) => `r.${name} = c.${name}`).join(' AND ')}`;
  const wholeDiffers = `c.${names[0]} IS NULL OR r.${names[0]} IS NULL OR ${differs('r', 'c')}`;
  const whole = `WITH ${taken('')}, ck_differing AS MATERIALIZED (
  ${all()}
  WHERE ${wholeDiffers}
), ${told}
${merge(names.map((name) => `r.${name} = n.${name}`).join(' AND '))}`;
  const reconcile = `WITH ck_compared AS (
  ${all(`, ${wholeDiffers} AS ck_differs`)}
), ck_wrong AS (
  SELECT ${columns.slice(0, names.length).join(', ')} FROM ck_compared r
  WHERE ck_differs AND NOT EXISTS (SELECT FROM (${eachMarkSql(log, keyTypes)}) p WHERE ${covered('p', 'r')})${rollup.expired === undefined ? '' : ` AND NOT (${expiredSql(rollup, (name) => `r.${name}`)})`}
), ck_healed AS (
  INSERT INTO ${log} (view, source, ${ks.join(', ')}) SELECT ${quoteLiteral(place.view)}, 'reconcile', ${names.join(', ')} FROM ck_wrong
)
SELECT (SELECT count(*) FROM ck_compared)::text AS groups, (SELECT count(*) FROM ck_wrong)::text AS wrong`;

  return {
    table,
    log,
    run: relationSql('cachekit', runName(place.view, place.version)),
    searchPath,
    source: shape.source,
    keys: rollup.keys.map((key, at) => ({
      name: key.name,
      type: keyTypes[at] ?? 'text',
      sql: keySql(key, 't'),
      column: `t.${q(key.column)}`,
    })),
    mask: wholeMask(rollup),
    many: holdsMany(keyTypes),
    load: `SELECT count(*) AS marks,
  count(DISTINCT ROW(${ks.join(', ')})) FILTER (WHERE wild = 0)
    + CASE WHEN bool_or(wild = ${wholeMask(rollup)}) THEN (SELECT count(*) FROM ${table})
        WHEN bool_or(wild > 0) THEN (
          WITH p AS MATERIALIZED (SELECT ${ks.join(', ')}, wild FROM ${log} WHERE wild > 0)
          SELECT count(*) FROM ${table} r WHERE EXISTS (SELECT FROM p WHERE ${covered('p', 'r')}))
        ELSE 0 END AS dirty,
  coalesce(bool_or(wild > 0), false) AS parts, coalesce(bool_or(wild = ${wholeMask(rollup)}), false) AS everything,
  (SELECT greatest(c.reltuples, 0) FROM pg_class c WHERE c.oid = ${quoteLiteral(table)}::regclass) AS groups
FROM (${eachMarkSql(log, keyTypes)}) m`,
    exact: computed(' WHERE wild = 0', named),
    partial: computed('', `${named}\n  ${found}`),
    whole,
    expire: rollup.expired === undefined ? '' : `DELETE FROM ${table} g WHERE ${rollup.expired}`,
    reconcile,
  };
}

/**
 * The groups as they are in the present snapshot: clean ones from the table, dirty ones from the rows. While a mark is
 * about part of a key, which is rare and short, all are from the rows: to tell which it covers would cost every read
 * the planning of it. That condition stands around the branch, or workers would be started for what is not read. Such a mark
 * counts as a key of nulls then, which nothing is certain not to be in. Marks are taken from the log once, as it may be longer
 * than they are; and as nobody knows how many they are when a prepared statement is planned, clean groups are told by a hash of
 * all marks, whose condition is always true, which the planner does not know, so it takes them for few.
 */
function liveGroupsSql(place: RollupPlace, shape: RollupShape): string {
  const { rollup, stored, keyTypes } = shape;
  const table = relationSql('cachekit', tableName(place.view, place.version));
  const log = relationSql('cachekit', logName(place.view, place.version));
  const names = rollup.keys.map((key) => q(key.name));
  const columns = [...names, ...stored.map(q)].map((column) => `r.${column}`).join(', ');
  const ks = rollup.keys.map((_, at) => `k${at}`);
  const parts = 'EXISTS (SELECT FROM ck_parts)';
  return `WITH ck_marks AS MATERIALIZED (${eachMarkSql(log, keyTypes)}),
  ck_parts AS MATERIALIZED (SELECT FROM ck_marks WHERE wild > 0 LIMIT 1)
SELECT ${[...names.map((name, at) => `d.k${at} AS ${name}`), ...stored.map((column) => `c.${q(column)}`)].join(', ')}
  FROM (SELECT DISTINCT ${ks.join(', ')} FROM ck_marks WHERE wild = 0) d
  CROSS JOIN LATERAL (${groupSql(shape)} OFFSET 0) c
  WHERE NOT ${parts}
UNION ALL
SELECT ${columns} FROM (${rollup.seldom}) r
  WHERE ${parts}
UNION ALL
SELECT ${columns} FROM ${table} r
  WHERE (${names.map((name) => `r.${name}`).join(', ')}) NOT IN (
    SELECT ${ks.map((k) => `CASE WHEN wild = 0 THEN ${k} END`).join(', ')} FROM ck_marks
    WHERE wild IS NOT DISTINCT FROM wild)`;
}

/** The one group, or none, whose keys are `d.k0`, `d.k1`, ... */
function groupSql({ rollup, source, sourceColumns }: RollupShape): string {
  if (rollup.alias === undefined) return rollup.scoped;
  const covers = rollup.keys.map((key, at) => coversSql(key, 'b', `d.k${at}`)).join(' AND ');
  const columns = sourceColumns.map((column) => `b.${q(column)}`).join(', ');
  return `WITH ${q(rollup.alias)} AS NOT MATERIALIZED (SELECT ${columns} FROM ${source} b WHERE ${covers}) SELECT x.* FROM (${rollup.scoped}) x`;
}

/** Whether the mark `mark` is about the group of a row; a key whose bit is set in `wild` may be anything. */
function matchSql(rollup: Rollup, mark: string, row: string): string {
  return rollup.keys
    .map((key, at) => `(${mark}.wild & ${2 ** at} <> 0 OR ${mark}.k${at} = ${row}.${q(key.name)})`)
    .join(' AND ');
}

/** The condition for expired groups, with another name for its column, which it begins with. */
function expiredSql(
  { keys, expired = 'false' }: Rollup,
  columnOf: (name: string, at: number) => string,
): string {
  const at = keys.findIndex((key) => expired.startsWith(`g.${q(key.name)} <`));
  const name = q(keys[at]?.name ?? '');
  return at < 0 ? expired : `${columnOf(name, at)}${expired.slice(`g.${name}`.length)}`;
}

/** A setting that was local to a transaction is an empty text after it, which is no tenant. */
function tenantSql(column: string, setting: string): string {
  return `${column}::text = nullif(current_setting(${quoteLiteral(setting)}, true), '')`;
}
