import { beforeEach, expect, it } from 'vitest';
import { createEtl, type Etl } from '../../../src/etl/index.ts';
import { testDatabase } from '../database.ts';

const collation = `create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`;
const remote = testDatabase(`${collation}
  create table people (email text collate any_case primary key, name text);
  create table visits (id int generated always as identity primary key, email text collate any_case);
  create view vw_people as select p.email, p.name, (select count(*) from visits v where v.email = p.email) as visits from people p;
  create table prices (price numeric primary key, name text);`);
const local = testDatabase(collation);

beforeEach(async () => {
  await remote.pool.query(`truncate people, visits, prices; insert into people values ('bob@x', 'Bob'), ('al@x', 'Al');
    insert into prices values (1, 'one'), (2, 'two')`);
  await local.pool.query(`drop table if exists people_copy, prices_copy; drop schema if exists cachekit cascade;
    create table people_copy (email text collate any_case primary key, name text, visits bigint)`);
});

const copied = async (from: string, key: string, to: string, sources: readonly string[]): Promise<Etl> => {
  const etl = createEtl({
    name: to,
    remote: remote.sql,
    local: local.sql,
    from,
    to,
    key,
    sources: Object.fromEntries(sources.map((source) => [source, { key, changed: 'xmin' as const }])),
  });
  await etl.install();
  await etl.run();
  return etl;
};

it('keeps a row whose key a source writes in other letters', async () => {
  const etl = await copied('vw_people', 'email', 'people_copy', ['people', 'visits']);
  await remote.pool.query(`insert into visits (email) values ('BOB@X'), ('bob@x'), ('Bob@X')`);
  expect(await etl.run()).toMatchObject({ updated: 1, deleted: 0 });
  expect(await local.rows('select * from people_copy order by email')).toEqual([
    { email: 'al@x', name: 'Al', visits: '0' },
    { email: 'bob@x', name: 'Bob', visits: '3' },
  ]);
});

it('writes a key as it is written now, once it is compared', async () => {
  const people = await copied('vw_people', 'email', 'people_copy', ['people', 'visits']);
  const prices = await copied('prices', 'price', 'prices_copy', ['prices']);
  await remote.pool.query(`update people set email = 'BOB@x' where name = 'Bob';
    update prices set price = 1.00 where price = 1`);
  await people.reconcile('keys');
  await prices.reconcile('rows');
  expect(await local.rows('select email from people_copy order by email')).toEqual([
    { email: 'al@x' },
    { email: 'BOB@x' },
  ]);
  expect(await local.rows('select * from prices_copy order by price')).toEqual([
    { price: '1.00', name: 'one' },
    { price: '2', name: 'two' },
  ]);
  const nothing = { missing: 0, surplus: 0, different: 0 };
  expect(await people.reconcile('rows')).toMatchObject(nothing);
  expect(await prices.reconcile('rows')).toMatchObject(nothing);
});

it('follows changes of rows whose key is kept as text', async () => {
  await local.pool.query('create table prices_copy (price text primary key, name text)');
  const etl = await copied('prices', 'price', 'prices_copy', ['prices']);
  await remote.pool.query(
    `update prices set name = 'changed' where price = 1; delete from prices where price = 2`,
  );
  expect(await etl.run()).toMatchObject({ updated: 1 });
  expect(await etl.reconcile('keys')).toMatchObject({ surplus: 1, deleted: 1 });
  expect(await local.rows('select * from prices_copy')).toEqual([{ price: '1', name: 'changed' }]);
});

it('copies nothing where rows that came share a key', async () => {
  await remote.pool.query(`create table twice (id int, name text); insert into twice values (1, 'a')`);
  const etl = createEtl({
    name: 'twice',
    remote: remote.sql,
    local: local.sql,
    from: 'twice',
    to: 'twice_copy',
    key: 'id',
    sources: { twice: { key: 'id', changed: 'xmin' } },
  });
  await etl.install();
  await etl.run();
  await remote.pool.query(`insert into twice values (2, 'b'), (2, 'c')`);
  await expect(etl.run()).rejects.toMatchObject({ code: '21000' });
});
