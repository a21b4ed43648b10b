import { type AnyRollupOptions, compileRollup } from './compile-rollup.ts';
import type {
  RollupDefinition,
  RollupDerived,
  RollupKeys,
  RollupMeasures,
  RollupOptions,
} from './rollup-options.ts';
import type { RollupRow } from './row.ts';

/**
 * Describes a rollup: a table with one row per key, kept by recomputing only the groups that changed, behind a view.
 *
 * `<name>` shows the groups as of the last refresh. `<name>_live` is exact in every snapshot: it computes the groups that
 * changed since, and takes the others from the table. Nothing touches the database before `createViews(...).apply()`.
 * An index of the table that begins with the key columns is what makes a refresh cheap.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, neither or both of `measures` and `query`,
 * a query that is not read through `scope`, a window over a key that is no bucket, a tenant that is no key.
 * @example
 * const callsPerDay = defineRollup({
 *   name: 'mv_calls_per_day',
 *   from: 'calls',
 *   key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: 'America/Sao_Paulo' }) },
 *   window: { key: 'date', buckets: 90 },
 *   measures: { total: count(), answered: count().where(`status = 'answered'`), seconds: sum('duration'), timed: count('duration') },
 *   derived: { average: { type: 'numeric(12,2)', sql: 'seconds::numeric / nullif(timed, 0)' } },
 *   tenant: 'user_id',
 * });
 */
export function defineRollup<
  const Name extends string,
  const From extends string,
  const Keys extends RollupKeys,
  const Measures extends RollupMeasures = Record<never, never>,
  const Derived extends RollupDerived = Record<never, never>,
>(
  options: RollupOptions<Keys, Measures, Derived, Name, From>,
): RollupDefinition<Name, RollupRow<unknown, Keys, Measures, Derived>> {
  return compileRollup(options as unknown as AnyRollupOptions) as RollupDefinition<
    Name,
    RollupRow<unknown, Keys, Measures, Derived>
  >;
}

/** {@link defineRollup} that knows the tables of a Kysely database: columns are checked and typed. */
export type RollupsOf<Database> = <
  const Name extends string,
  const From extends keyof Database & string,
  const Keys extends RollupKeys<keyof Database[From] & string>,
  const Measures extends RollupMeasures<keyof Database[From] & string> = Record<never, never>,
  const Derived extends RollupDerived = Record<never, never>,
>(
  options: RollupOptions<Keys, Measures, Derived, Name, From>,
) => RollupDefinition<Name, RollupRow<Database[From], Keys, Measures, Derived>>;

/**
 * `defineRollup` for a Kysely database: tables and columns are checked by the compiler, and rows have their types.
 *
 * @example
 * const rollup = rollupsOf<{ calls: { user_id: number } }>();
 * const perUser = rollup({ name: 'calls_per_user', from: 'calls', key: { user_id: 'user_id' }, measures: { total: count() } });
 */
export function rollupsOf<Database>(): RollupsOf<Database> {
  return defineRollup as RollupsOf<Database>;
}
