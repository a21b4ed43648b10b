import {
  bucket,
  count,
  defineRollup,
  defineView,
  type InferDatabase,
  max,
  rollupsOf,
  sum,
} from '@cachekit/pg-matviews';
import { type Generated, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';

interface Tables {
  calls: {
    id: Generated<number>;
    user_id: number;
    status: string;
    start_time: Date;
    duration: number | null;
  };
  users: { id: number; name: string };
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <Claim extends true>(claim?: Claim): Claim | undefined => claim;

const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: new pg.Pool() }) });
const rollup = rollupsOf<Tables>();

const perDay = rollup({
  name: 'per_day',
  from: 'calls',
  key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: 'UTC' }) },
  window: { key: 'date', buckets: 90 },
  measures: {
    total: count(),
    answered: count().as('integer'),
    seconds: sum('duration'),
    last_at: max('start_time'),
  },
  derived: { rate: { type: 'double precision', sql: 'answered::float8 / total' } },
  tenant: 'user_id',
});
const named = defineView({
  name: 'named',
  kind: 'view',
  query: db.selectFrom('users').select(['id', 'name']),
});
const untyped = defineRollup({
  name: 'untyped',
  from: 'anything',
  key: { id: 'id' },
  measures: { total: count() },
});
const views = [perDay, named, untyped] as const;

type Database = Tables & InferDatabase<typeof views>;
interface PerDay {
  user_id: number;
  date: Date;
  total: string;
  answered: number;
  seconds: string | null;
  last_at: Date | null;
  rate: number | null;
}
holds<Same<Database['per_day'], PerDay>>();
holds<Same<Database['per_day_live'], PerDay>>();
holds<Same<Database['named'], { id: number; name: string }>>();
holds<Same<Database['untyped']['total'], string>>();

// The views are tables for Kysely, and only rollups have an exact one.
const all = new Kysely<Database>({ dialect: new PostgresDialect({ pool: new pg.Pool() }) });
all.selectFrom('per_day_live').select(['user_id', 'rate']).where('date', '>', new Date());
// @ts-expect-error a plain view has no exact one
all.selectFrom('named_live');

// A query builder's query in place of measures.
defineRollup({
  name: 'per_team',
  from: 'calls',
  key: { user_id: 'user_id' },
  query: ({ scope }) =>
    db
      .selectFrom(scope('calls'))
      .innerJoin('users', 'users.id', 'calls.user_id')
      .select(({ fn }) => ['calls.user_id', fn.max('users.name').as('name')])
      .groupBy('calls.user_id'),
  dimensions: { users: { key: { user_id: 'id' } } },
});

// @ts-expect-error there is no such table
rollup({ name: 'x', from: 'nothing', key: { id: 'id' }, measures: { total: count() } });
// @ts-expect-error there is no such column
rollup({ name: 'x', from: 'calls', key: { id: 'nothing' }, measures: { total: count() } });
// @ts-expect-error there is no such column either
rollup({ name: 'x', from: 'calls', key: { id: 'id' }, measures: { total: sum('nothing') } });
// @ts-expect-error the tenant is a key
rollup({ name: 'x', from: 'calls', key: { id: 'id' }, measures: { total: count() }, tenant: 'user_id' });
