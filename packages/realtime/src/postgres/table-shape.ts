import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { parseQualifiedName, quoteQualified } from '@cachekit/core/postgres';
import type { Capture, KeyColumn, Relation } from './trigger-sql.ts';

/** What to capture of one table. */
export interface CapturedTable {
  /**
   * Columns that identify a row; the `key` of its changes. NOT NULL, with a unique index over them or some of them.
   * @defaultValue the primary key
   */
  readonly key?: readonly string[];
  /**
   * Column with the id of the tenant a row belongs to. Without it changes have no tenant.
   */
  readonly tenant?: string;
  /**
   * Columns that `old` and `new` hold besides the key; an UPDATE of others only is no change. For wide rows, and for
   * columns that must not leave the database.
   * @defaultValue every column, also those added later if none is a virtual generated one
   */
  readonly columns?: readonly string[];
}

/** A table as the database has it, checked against what is to be captured. */
export interface TableShape {
  readonly capture: Capture;
  readonly relation: Relation;
  /** The table itself and everything that inherits from it, partitions of partitions included. */
  readonly relations: readonly (Relation & { readonly oid: string })[];
}

interface Column {
  readonly name: string;
  readonly builtIn: boolean;
  readonly notNull: boolean;
  /** Of type json, or holds it: an array, a domain, a composite type. */
  readonly json: boolean;
  /** What a virtual generated column is computed from. */
  readonly expression: string | null;
}

/**
 * Reads the table from the catalogue.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if there is no such table or column, or if the key does not
 * identify rows.
 */
export async function readTableShape(
  sql: SqlExecutor,
  name: string,
  wanted: CapturedTable,
): Promise<TableShape> {
  const table = await findTable(sql, name);
  const columns = new Map((await readColumns(sql, table.oid)).map((column) => [column.name, column]));
  const keys = await readUniqueKeys(sql, table.oid);
  const has = (column: string): Column => {
    const found = columns.get(column);
    if (found) return found;
    throw new ConfigurationError(
      `installCapture: table "${name}" has no column "${column}"; it has ${[...columns.keys()].join(', ')}`,
    );
  };
  const key: readonly KeyColumn[] = (
    wanted.key ??
    keys.find((candidate) => candidate.primary)?.columns ??
    []
  ).map(has);
  if (key.length === 0) {
    throw new ConfigurationError(`installCapture: table "${name}" has no primary key; give its key`);
  }
  const nullable = key.find((column) => !columns.get(column.name)?.notNull);
  if (nullable) {
    throw new ConfigurationError(
      `installCapture: key column "${nullable.name}" of table "${name}" can be null`,
    );
  }
  const given = new Set(key.map((column) => column.name));
  if (!keys.some((candidate) => candidate.columns.every((column) => given.has(column)))) {
    throw new ConfigurationError(
      `installCapture: (${[...given].join(', ')}) does not identify a row of table "${name}": it has no unique index`,
    );
  }
  const shown = wanted.columns?.map(has) ?? [...columns.values()];
  const read = new Set([...key.map(({ name: column }) => has(column)), ...shown]);
  if (wanted.tenant !== undefined) read.add(has(wanted.tenant));
  const computes = [...read].some((column) => column.expression !== null);
  return {
    capture: {
      name,
      key,
      tenant: wanted.tenant,
      columns: wanted.columns,
      fallible: computes || shown.some((column) => column.json),
      computed: computes ? [...read] : [],
    },
    relation: { schema: table.schema, name: table.name },
    relations: await readRelations(sql, table.oid),
  };
}

async function findTable(sql: SqlExecutor, name: string): Promise<Relation & { oid: string }> {
  const { rows } = await sql.query<{ oid: string; schema: string; name: string; kind: string }>(
    `select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relkind as kind
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)`,
    [quoteQualified(parseQualifiedName(name))],
  );
  const row = rows[0];
  if (row === undefined) throw new ConfigurationError(`installCapture: there is no table "${name}"`);
  if (row.kind !== 'r' && row.kind !== 'p') {
    throw new ConfigurationError(
      `installCapture: "${name}" is no table; changes are captured where rows are stored`,
    );
  }
  return row;
}

async function readColumns(sql: SqlExecutor, oid: string): Promise<readonly Column[]> {
  const { rows } = await sql.query<Column>(
    `select a.attname as name, t.typnamespace = 'pg_catalog'::regnamespace as "builtIn", a.attnotnull as "notNull",
       exists (${partTypesSql('a.atttypid')} select from parts where parts.type = 'pg_catalog.json'::regtype) as json,
       (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
        where a.attgenerated = 'v' and d.adrelid = a.attrelid and d.adnum = a.attnum) as expression
     from pg_attribute a join pg_type t on t.oid = a.atttypid
     where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [oid],
  );
  return rows;
}

/** A type with all that is inside of it. */
function partTypesSql(type: string): string {
  return `with recursive parts (type) as (
    select ${type} union
    select inner_type from parts join pg_type t on t.oid = parts.type
    cross join lateral (select t.typelem union select t.typbasetype union
      select m.atttypid from pg_attribute m where m.attrelid = t.typrelid and m.attnum > 0 and not m.attisdropped) i (inner_type))`;
}

/** Columns of every index that lets no two rows be alike at the end of a statement. */
async function readUniqueKeys(
  sql: SqlExecutor,
  oid: string,
): Promise<readonly { primary: boolean; columns: readonly string[] }[]> {
  const { rows } = await sql.query<{ primary: boolean; columns: string }>(
    `select i.indisprimary as primary, (
       select json_agg(a.attname order by k.position)
       from unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
       where k.position <= i.indnkeyatts)::text as columns
     from pg_index i
     where i.indrelid = $1::oid and i.indisunique and i.indisvalid and i.indimmediate
       and i.indpred is null and i.indexprs is null`,
    [oid],
  );
  return rows.map((row) => ({ primary: row.primary, columns: JSON.parse(row.columns) as readonly string[] }));
}

async function readRelations(sql: SqlExecutor, oid: string): Promise<TableShape['relations']> {
  const { rows } = await sql.query<Relation & { oid: string }>(
    `with recursive tree (oid) as (
       select $1::oid union select i.inhrelid from pg_inherits i join tree on i.inhparent = tree.oid)
     select n.nspname as schema, c.relname as name, c.oid::text as oid
     from tree join pg_class c on c.oid = tree.oid join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') order by 1, 2`,
    [oid],
  );
  return rows;
}
