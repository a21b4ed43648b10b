import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { count, createRefresher, createViews, defineRollup } from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(`
  create table calls (id int generated always as identity primary key, user_id int not null, device_id int not null);
  insert into calls (user_id, device_id) select g % 3, g % 2 from generate_series(1, 60) g;
  create table notes (organisation text not null);
  insert into notes values ('acme'), (''), ('');
`);
const perDevice = defineRollup({
  name: 'per_device',
  from: 'calls',
  key: { user_id: 'user_id', device_id: 'device_id' },
  measures: { total: count().as('integer') },
  tenant: { column: 'user_id', setting: 'app.user_id' },
});
const perOrganisation = defineRollup({
  name: 'per_organisation',
  from: 'notes',
  key: { organisation: 'organisation' },
  measures: { total: count().as('integer') },
  tenant: { column: 'organisation', setting: 'app.organisation' },
});
const role = `reader_${process.pid}`;
const writer = `writer_${process.pid}`;

/** What somebody sees who says who they are, or does not. */
async function seenBy(user: string | undefined, view: string): Promise<{ tenant: number; total: number }[]> {
  const client = await database.client();
  await client.query(`set role ${role}`);
  if (user !== undefined) await client.query(`select set_config('app.user_id', $1, false)`, [user]);
  const { rows } = await client.query<{ tenant: number; total: number }>(
    `select user_id as tenant, sum(total)::int as total from ${view} group by 1 order by 1`,
  );
  return rows;
}

beforeAll(async () => {
  await createViews({ sql: database.sql, views: [perDevice, perOrganisation] }).apply();
  await database.pool.query(`create role ${role}; create role ${writer};
    grant select on per_device, per_device_live, per_organisation, per_organisation_live to ${role}; grant insert on calls to ${writer}`);
});
afterAll(async () => {
  await database.pool.query(`drop owned by ${role}, ${writer}; drop role ${role}, ${writer}`);
});

describe('a rollup with a tenant', () => {
  it('shows each tenant their rows only, clean or dirty, and nobody anything who says no tenant', async () => {
    await database.pool.query('insert into calls (user_id, device_id) values (1, 5), (2, 5)');
    for (const [view, extra] of [
      ['per_device', 0],
      ['per_device_live', 1],
    ] as const) {
      expect(await seenBy('1', view)).toEqual([{ tenant: 1, total: 20 + extra }]);
      expect(await seenBy(undefined, view)).toEqual([]);
      expect(await seenBy(`1' or '1' = '1`, view)).toEqual([]);
      expect(await database.one(`select count(distinct user_id)::int from ${view}`)).toBe(3);
    }
  });

  it('shows a session that said a tenant before, and says none now, nothing either', async () => {
    const client = await database.client();
    await client.query(`set role ${role}`);
    const seen = async (view: string): Promise<unknown[]> =>
      (await client.query(`select organisation, total from ${view}`)).rows;
    for (const view of ['per_organisation', 'per_organisation_live']) {
      await client.query('begin');
      await client.query(`select set_config('app.organisation', 'acme', true)`);
      expect(await seen(view)).toEqual([{ organisation: 'acme', total: 1 }]);
      await client.query('commit');
      // PostgreSQL has an empty text for it from then on.
      expect(await seen(view)).toEqual([]);
    }
  });

  it('is not read past its views: neither the rows, the marks nor the table below', async () => {
    const client = await database.client();
    await client.query(`set role ${role}`);
    for (const hidden of ['calls', 'cachekit.per_device__m1', 'cachekit.view']) {
      await expect(client.query(`select * from ${hidden}`)).rejects.toMatchObject({ code: '42501' });
    }
    await database.pool.query(
      `grant usage on schema cachekit to ${role}; grant select on cachekit.per_device__v1 to ${role}`,
    );
    const { rows } = await client.query('select * from cachekit.per_device__v1');
    expect(rows).toEqual([]);
    // A condition that tells what it sees is asked about rows of the tenant only.
    await client.query(`create function pg_temp.leak(user_id int) returns boolean language plpgsql cost 0.0001 as
      $$ begin if user_id <> 1 then raise exception 'saw %', user_id; end if; return true; end $$`);
    await client.query(`select set_config('app.user_id', '1', false)`);
    for (const view of ['per_device', 'per_device_live']) {
      await client.query(`select * from ${view} where pg_temp.leak(user_id)`);
    }
  });

  it('is marked by writers who have no right on anything of it', async () => {
    const client = await database.client();
    await client.query(`set role ${writer}`);
    await client.query('set search_path = pg_catalog');
    await client.query('insert into public.calls (user_id, device_id) values (1, 6)');
    await createRefresher({ sql: database.sql, views: [perDevice] }).waitFresh('per_device');
    expect(await database.one('select total from per_device where user_id = 1 and device_id = 6')).toBe(1);
  });
});
