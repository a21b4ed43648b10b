import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import type { Column } from './columns.ts';
import { bound, columnsOf, ordered } from './columns.ts';
import type { CheckedEtl, CheckedSource } from './definition.ts';
import type { Horizon } from './horizon.ts';

/** Transaction ids are compared over a circle of 2^32; beyond a quarter of it a horizon says nothing. */
const maxXidAge = 2n ** 30n;

/** Whether rows newer than the horizon can still be told from older ones. */
export function usable(horizon: Horizon, presentXid: string): boolean {
  const age = BigInt(presentXid) - BigInt(horizon.xid);
  return age >= 0n && age < maxXidAge;
}

/** A SELECT of the keys, as text in column `k` and in their order, whose rows may have changed since the horizons. */
export async function changedKeysSql(
  remote: SqlExecutor,
  etl: CheckedEtl,
  key: Column,
  horizons: ReadonlyMap<string, Horizon>,
  after: string | undefined,
): Promise<string> {
  const parts: string[] = [];
  for (const source of etl.sources) {
    const horizon = horizons.get(source.name);
    if (horizon === undefined) throw new Error(`No horizon of ${source.name}`);
    parts.push(await changedSql(remote, source, horizon));
  }
  const typed = `SELECT DISTINCT k::${key.type} AS k FROM (${parts.join(' UNION ALL ')}) parts WHERE k IS NOT NULL`;
  const k = ordered('u.k', key);
  const rest = after === undefined ? '' : ` WHERE ${k} > ${bound(quoteLiteral(after), key)}`;
  return `SELECT u.k::text AS k FROM (${typed}) u${rest} ORDER BY ${k}`;
}

async function changedSql(remote: SqlExecutor, source: CheckedSource, horizon: Horizon): Promise<string> {
  const changed = `FROM ${source.table} s WHERE ${await changedCondition(remote, source, horizon)}`;
  if (source.key !== undefined) return `SELECT s.${quoteIdentifier(source.key)}::text AS k ${changed}`;
  const { through } = source;
  if (through === undefined) throw new Error(`The source ${source.name} leads to no key`);
  return `SELECT t.${quoteIdentifier(through.key)}::text AS k FROM ${through.table} t
    WHERE t.${quoteIdentifier(through.match)} IN (SELECT s.${quoteIdentifier(through.id)} ${changed})`;
}

async function changedCondition(
  remote: SqlExecutor,
  source: CheckedSource,
  horizon: Horizon,
): Promise<string> {
  if (source.column === undefined) {
    return `age(s.xmin) <= age(${quoteLiteral(String(BigInt(horizon.xid) % 2n ** 32n))}::xid)`;
  }
  const columns = await columnsOf(remote, source.table);
  const type = columns.find(({ name }) => name === source.column)?.type ?? '';
  const since = `${quoteLiteral(horizon.watermark)}::timestamptz`;
  const zoned = type.includes('with time zone')
    ? since
    : `(${since} AT TIME ZONE ${quoteLiteral(source.timeZone)})`;
  return `s.${quoteIdentifier(source.column)} >= ${type === 'date' ? `${zoned}::date` : zoned}`;
}
