import type { SqlExecutor } from '@cachekit/core';
import { type Column, columnsOf } from './columns.ts';
import type { CheckedEtl } from './definition.ts';
import { RemoteSchemaDriftError } from './errors.ts';
import type { EtlRisk } from './events.ts';

/** What of the remote relation fits into the local table. */
export interface Fit {
  readonly key: Column;
  /** The key first; types are the local ones. */
  readonly columns: readonly Column[];
  /** The same columns with the remote types. */
  readonly sent: readonly Column[];
  readonly risks: readonly EtlRisk[];
}

/**
 * Compares the two sides before every run: a column that vanished or changed its type stops the copy, one that came is
 * reported and left out.
 *
 * @param known - Columns that the last run copied.
 * @throws RemoteSchemaDriftError `REMOTE_SCHEMA_DRIFT`
 */
export async function readFit(
  remote: SqlExecutor,
  local: SqlExecutor,
  etl: CheckedEtl,
  known: readonly string[],
): Promise<Fit> {
  const there = await columnsOf(remote, etl.from);
  const here = await columnsOf(local, etl.to);
  if (there.length === 0) throw new RemoteSchemaDriftError(etl.name, [`the remote ${etl.from} is gone`]);
  if (here.length === 0)
    throw new RemoteSchemaDriftError(etl.name, [`the local ${etl.to} is gone; install()`]);
  const localByName = new Map(here.map((column) => [column.name, column]));
  const remoteNames = new Set(there.map(({ name }) => name));
  const differences = known
    .filter((name) => !remoteNames.has(name))
    .map((name) => `the remote ${etl.from} has no "${name}" any more`);
  const columns: Column[] = [];
  const risks: EtlRisk[] = [];
  for (const column of there) {
    const target = localByName.get(column.name);
    if (target === undefined || target.generated) {
      risks.push({
        reason: 'COLUMN_NOT_COPIED',
        detail: `${etl.from} has a column "${column.name}" (${column.type}) that ${etl.to} cannot take`,
      });
      if (known.includes(column.name))
        differences.push(`the local ${etl.to} has no "${column.name}" any more`);
    } else if (holds(target.type, column.type)) {
      columns.push(target);
    } else {
      differences.push(`"${column.name}" is ${column.type} in ${etl.from} and ${target.type} in ${etl.to}`);
    }
  }
  const key = columns.find(({ name }) => name === etl.key);
  if (key === undefined && differences.length === 0) differences.push(`both need the key "${etl.key}"`);
  if (key === undefined || differences.length > 0) throw new RemoteSchemaDriftError(etl.name, differences);
  const ordered = [key, ...columns.filter((column) => column !== key)];
  const remoteByName = new Map(there.map((column) => [column.name, column]));
  return { key, columns: ordered, sent: ordered.flatMap(({ name }) => remoteByName.get(name) ?? []), risks };
}

const integers = ['smallint', 'integer', 'bigint', 'numeric'];

/** Whether every value of `type` is written the same way as a `target`. */
function holds(target: string, type: string): boolean {
  if (target === type || target === 'text') return true;
  if (target === 'character varying') return type.startsWith('character varying');
  const wide = integers.indexOf(target);
  return integers.slice(0, 3).includes(type) && wide >= integers.indexOf(type);
}
