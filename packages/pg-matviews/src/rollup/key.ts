import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { assertIdentifier } from '../identifier.ts';

/** Length of a bucket of time. */
export type BucketUnit = 'minute' | 'hour' | 'day' | 'week' | 'month';

/** Options of {@link bucket}. */
export interface BucketOptions {
  /** Whose clock cuts the buckets; a name of the IANA database. Sessions and servers do not matter. */
  readonly timeZone: string;
  /** For a column of type `timestamp` without a time zone: the zone its values are meant in. */
  readonly storedIn?: string;
}

/** A key that is a piece of time. */
export interface Bucket<Column extends string = string, Unit extends BucketUnit = BucketUnit> {
  readonly column: Column;
  readonly unit: Unit;
  readonly timeZone: string;
  readonly storedIn: string | undefined;
}

/** A key of a rollup: a column of its table, or a bucket of one. */
export interface RollupKey {
  /** As readers see it. */
  readonly name: string;
  readonly column: string;
  readonly bucket: Bucket | undefined;
}

const units: readonly BucketUnit[] = ['minute', 'hour', 'day', 'week', 'month'];

/**
 * Cuts a column of time into buckets by the clock of a time zone. Days, weeks (from Monday) and months are of type
 * `date`, hours and minutes `timestamptz`: the beginning of the bucket.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown unit or time zone.
 * @example
 * bucket('start_time', 'day', { timeZone: 'America/Sao_Paulo' });
 */
export function bucket<Column extends string, Unit extends BucketUnit>(
  column: Column,
  unit: Unit,
  options: BucketOptions,
): Bucket<Column, Unit> {
  assertIdentifier(column, 'bucket: column');
  if (!units.includes(unit)) throw new ConfigurationError(`bucket: unit is one of ${units.join(', ')}`);
  assertKnownOptions('bucket', options, ['timeZone', 'storedIn']);
  assertTimeZone(options.timeZone, 'bucket: timeZone');
  if (options.storedIn !== undefined) assertTimeZone(options.storedIn, 'bucket: storedIn');
  return { column, unit, timeZone: options.timeZone, storedIn: options.storedIn };
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function rollupKey(view: string, name: string, of: unknown): RollupKey {
  assertIdentifier(name, `defineRollup "${view}": key`);
  if (typeof of === 'string') {
    assertIdentifier(of, `defineRollup "${view}": key "${name}"`);
    return { name, column: of, bucket: undefined };
  }
  if (typeof of === 'object' && of !== null && 'unit' in of && 'timeZone' in of) {
    const made = of as Bucket;
    return { name, column: made.column, bucket: made };
  }
  throw new ConfigurationError(`defineRollup "${view}": key "${name}" is a column or bucket(...)`);
}

/** The key of a row called `row`. */
export function keySql(key: RollupKey, row: string): string {
  const column = `${row}.${quoteIdentifier(key.column)}`;
  const { bucket: of } = key;
  if (of === undefined) return column;
  const zone = quoteLiteral(of.timeZone);
  const instant =
    of.storedIn === undefined ? column : `(${column} AT TIME ZONE ${quoteLiteral(of.storedIn)})`;
  if (of.unit === 'day') return `(${instant} AT TIME ZONE ${zone})::date`;
  if (of.unit === 'week' || of.unit === 'month') {
    return `date_trunc(${quoteLiteral(of.unit)}, ${instant} AT TIME ZONE ${zone})::date`;
  }
  return `date_trunc(${quoteLiteral(of.unit)}, ${instant}, ${zone})`;
}

/** A day may begin later or end earlier than its midnights say where a clock changes at midnight. */
const slack = `interval '3 hours'`;

/**
 * Condition that a row called `row` belongs to the key `dirty`, written so that an index on the column serves: a range
 * of time, and the bucket itself where clocks change. The last microsecond is in the range, so that `infinity` is in its own.
 */
export function coversSql(key: RollupKey, row: string, dirty: string): string {
  const column = `${row}.${quoteIdentifier(key.column)}`;
  const { bucket: of } = key;
  if (of === undefined) return `${column} = ${dirty}`;
  const zone = quoteLiteral(of.timeZone);
  const dated = isDated(of.unit);
  const begin = dated ? `(${dirty}::timestamp AT TIME ZONE ${zone})` : dirty;
  const step = `interval '1 ${of.unit}'`;
  const end = dated ? `((${dirty}::timestamp + ${step}) AT TIME ZONE ${zone})` : `(${dirty} + ${step})`;
  const stored = (instant: string): string =>
    of.storedIn === undefined ? instant : `(${instant}) AT TIME ZONE ${quoteLiteral(of.storedIn)}`;
  const steady = of.timeZone === 'UTC' && (of.storedIn === undefined || of.storedIn === 'UTC');
  if (steady)
    return `${column} >= ${stored(begin)} AND ${column} <= ${stored(`${end} - interval '1 microsecond'`)}`;
  return `${column} >= ${stored(`${begin} - ${slack}`)} AND ${column} <= ${stored(`${end} + ${slack}`)} AND ${keySql(key, row)} = ${dirty}`;
}

/** The bucket that was current `ago` buckets before now, by the clock of the zone. */
export function bucketAgoSql(of: Bucket, ago: number): string {
  const zone = quoteLiteral(of.timeZone);
  const now = `date_trunc(${quoteLiteral(of.unit)}, now() AT TIME ZONE ${zone})`;
  const then = `${now} - interval '${ago} ${of.unit}s'`;
  return isDated(of.unit) ? `(${then})::date` : `((${then}) AT TIME ZONE ${zone})`;
}

/** Whether buckets of that length are dates. */
function isDated(unit: BucketUnit): boolean {
  return unit === 'day' || unit === 'week' || unit === 'month';
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function assertTimeZone(timeZone: unknown, what: string): asserts timeZone is string {
  try {
    if (typeof timeZone !== 'string') throw new RangeError();
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw new ConfigurationError(`${what}: ${JSON.stringify(timeZone) ?? 'undefined'} is no time zone`);
  }
}
