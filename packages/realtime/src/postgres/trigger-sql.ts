import { quoteIdentifier, quoteLiteral, quoteQualified, wakeSql } from '@cachekit/core/postgres';

/** The outbox that row changes go to. */
export const changeOutbox = 'change';

/** A column of the key. */
export interface KeyColumn {
  readonly name: string;
  /** Its `=` is in `pg_catalog`, the only schema the trigger may look in; else keys are compared as text. */
  readonly builtIn: boolean;
}

/** What the triggers of one table are made from. */
export interface Capture {
  /** The name that changes carry. */
  readonly name: string;
  readonly key: readonly KeyColumn[];
  readonly tenant: string | undefined;
  /** Columns in `old` and `new` besides the key; every column of the table if absent. */
  readonly columns: readonly string[] | undefined;
  /** Reading a row may fail: there is json, whose text may be none that jsonb holds, or a column is computed. */
  readonly fallible: boolean;
  /** The columns that are read, if some are virtual generated ones: triggers see none of those. */
  readonly computed: readonly ComputedColumn[];
}

/** A column, and what it is computed from at every read. */
interface ComputedColumn {
  readonly name: string;
  readonly expression: string | null;
}

/** A table in its schema. */
export interface Relation {
  readonly schema: string;
  readonly name: string;
}

const events = ['insert', 'update', 'delete', 'truncate'] as const;

/** The events a table has a trigger for, and the name of the trigger of each. */
export const triggerNames: readonly string[] = events.map((event) => `cachekit_capture_${event}`);

/**
 * The body of the trigger function: writes every changed row into the outbox, in the writer's transaction.
 *
 * - Statement triggers with transition tables: one INSERT for a statement, however many rows it touched.
 * - An UPDATE that leaves a row as it was writes nothing. Rows before and after are matched by key; a FULL JOIN can
 *   only be a hash or merge join, so no cached plan becomes quadratic.
 * - A row that changes its tenant is a `delete` for the old one and an `insert` for the new one, both with `moved`; a
 *   row that changes its key is a `delete` and an `insert`.
 * - TRUNCATE tells no rows: it is one row `truncate`, which the source reports as a gap.
 * - It must never make the user's statement fail: what it is about to read is probed in an exception block, which takes
 *   no subtransaction id as it writes nothing. Rows that cannot be told, because a column is there no more, are a gap;
 *   without an outbox nothing is told. The probe is analysed and not executed, unless reading itself may fail.
 * - The wake-up comes after the write: the writer then has its transaction id when it reads the flag.
 */
export function captureBody(capture: Capture): string {
  const target = 'insert into cachekit.change (tenant, source, operation, key, old, new, moved)';
  const { inserted, updated, deleted } = changesSql(capture);
  const tables = 'cachekit.change, cachekit.wake';
  const probe = (rows: string): string =>
    capture.fallible
      ? `perform count(r.*) from (${rows}) r where true or exists (select from ${tables})`
      : `perform where true or exists (select from ${tables}, (${rows}) r)`;
  return `${capture.computed.length === 0 ? '' : '\n#variable_conflict use_column'}
declare
  readable boolean := true;
begin
  begin
    if tg_op = 'INSERT' then
      ${probe(inserted)};
    elsif tg_op = 'DELETE' then
      ${probe(deleted)};
    elsif tg_op = 'UPDATE' then
      ${probe(updated)};
    else
      perform where true or exists (select from ${tables});
    end if;
  exception
    when undefined_table or invalid_schema_name then
      return null;
    when others then
      readable := false;
  end;
  if not readable or tg_op = 'TRUNCATE' then
    ${gapSql(capture)};
  elsif tg_op = 'INSERT' then
    ${target}
    ${inserted};
  elsif tg_op = 'DELETE' then
    ${target}
    ${deleted};
  else
    ${target}
    ${updated};
  end if;
  if found then
    ${wakeSql(changeOutbox)};
  end if;
  return null;
end`;
}

/** What a statement adds to the outbox, as a SELECT for each of its events. */
function changesSql(capture: Capture): Readonly<Record<'inserted' | 'updated' | 'deleted', string>> {
  const source = quoteLiteral(capture.name);
  const [tenantOld, tenantNew] = [tenantSql('o', capture), tenantSql('n', capture)];
  const [keyOld, keyNew] = [objectSql('o', keyNames(capture)), objectSql('n', keyNames(capture))];
  const [rowOld, rowNew] = [rowSql('o', capture), rowSql('n', capture)];
  const first = quoteIdentifier(capture.key[0]?.name ?? '');
  const [inOld, inNew] = [`o.${first} is not null`, `n.${first} is not null`];
  const moved = `${tenantOld} is distinct from ${tenantNew}`;
  const [before, after] = [rowsSql('cachekit_old', capture), rowsSql('cachekit_new', capture)];
  return {
    inserted: `select ${tenantNew}, ${source}, 'insert', ${keyNew}, null::jsonb, ${rowNew}, null::boolean from ${after} n`,
    deleted: `select ${tenantOld}, ${source}, 'delete', ${keyOld}, ${rowOld}, null::jsonb, null::boolean from ${before} o`,
    updated: `select c.tenant, ${source}, c.operation, c.key, c.old, c.new, c.moved
    from ${before} o full join ${after} n on ${joinSql(capture)}
    cross join lateral (
      select ${tenantNew} as tenant, 'update' as operation, ${keyNew} as key, ${rowOld} as old, ${rowNew} as new,
             null::boolean as moved
      where ${inOld} and ${inNew} and not (${moved}) and ${differsSql(capture)}
      union all
      select ${tenantOld}, 'delete', ${keyOld}, ${rowOld}, null, case when ${inNew} then true end
      where ${inOld} and (not (${inNew}) or ${moved})
      union all
      select ${tenantNew}, 'insert', ${keyNew}, null, ${rowNew}, case when ${inOld} then true end
      where ${inNew} and (not (${inOld}) or ${moved})
    ) c`,
  };
}

/** The rows of a transition table with all columns that are read. */
function rowsSql(transition: string, { computed }: Capture): string {
  if (computed.length === 0) return transition;
  const list = computed.map(({ name, expression }) =>
    expression === null ? `t.${quoteIdentifier(name)}` : `(${expression}) as ${quoteIdentifier(name)}`,
  );
  return `(select ${list.join(', ')} from ${transition} t)`;
}

/** Writes into the outbox what a TRUNCATE does: the source reports it as a gap. */
export function gapSql(capture: Capture): string {
  return `insert into cachekit.change (source, operation, key) values (${quoteLiteral(capture.name)}, 'truncate', '{}')`;
}

/**
 * The trigger function. It runs as its owner, so that whoever may write the table needs no right on the schema
 * `cachekit`, and looks names up in `pg_catalog` only, so that the writer's `search_path` cannot break or bend it. What
 * the text of a value depends on is fixed, so that the same value is the same text from every session.
 */
export function captureFunctionSql(functionName: string, capture: Capture): string {
  return `create or replace function ${qualifiedFunction(functionName)}() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set bytea_output = 'hex'
    set extra_float_digits = 1 set lc_monetary = 'C'
    as ${quoteLiteral(captureBody(capture))}`;
}

/** The statements that make the triggers of one table, or of one of its partitions. */
export function captureTriggersSql(relation: Relation, functionName: string): readonly string[] {
  const transitions = {
    insert: 'referencing new table as cachekit_new',
    update: 'referencing old table as cachekit_old new table as cachekit_new',
    delete: 'referencing old table as cachekit_old',
    truncate: '',
  };
  return events.map(
    (event) =>
      `create or replace trigger cachekit_capture_${event} after ${event} on ${quoteQualified(relation)}
       ${transitions[event]} for each statement execute function ${qualifiedFunction(functionName)}()`,
  );
}

/** The function as it stands in SQL. */
export function qualifiedFunction(functionName: string): string {
  return `cachekit.${quoteIdentifier(functionName)}`;
}

function keyNames(capture: Capture): readonly string[] {
  return capture.key.map((column) => column.name);
}

function joinSql(capture: Capture): string {
  return capture.key
    .map(({ name, builtIn }) => {
      const column = quoteIdentifier(name);
      return builtIn ? `o.${column} = n.${column}` : `o.${column}::text = n.${column}::text`;
    })
    .join(' and ');
}

/** An empty id is nobody's. */
function tenantSql(row: 'o' | 'n', capture: Capture): string {
  return capture.tenant === undefined
    ? 'null::text'
    : `nullif(${row}.${quoteIdentifier(capture.tenant)}::text, '')`;
}

function rowSql(row: 'o' | 'n', capture: Capture): string {
  return capture.columns === undefined ? `to_jsonb(${row}.*)` : objectSql(row, shownColumns(capture));
}

/** Compares the stored bytes: works for types without an equality, such as json. */
function differsSql(capture: Capture): string {
  if (capture.columns === undefined) return 'o.* *<> n.*';
  const of = (row: string): string =>
    `row(${shownColumns(capture)
      .map((name) => `${row}.${quoteIdentifier(name)}`)
      .join(', ')})::record`;
  return `${of('o')} *<> ${of('n')}`;
}

function shownColumns(capture: Capture): readonly string[] {
  return [...new Set([...keyNames(capture), ...(capture.columns ?? [])])];
}

/** A sub-select rather than jsonb_build_object, which takes no more than 50 pairs. */
function objectSql(row: 'o' | 'n', names: readonly string[]): string {
  return `(select to_jsonb(r.*) from (select ${names.map((name) => `${row}.${quoteIdentifier(name)}`).join(', ')}) r)`;
}
