import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { createDatabase } from '../../index.ts';
import { useDatabase } from '../../vitest.ts';

const database = useDatabase();

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

test('a test file has a database of its own, with the settings that change capture needs', async () => {
  const [row] = await query(
    database.url,
    `select current_database() as name, current_setting('wal_level') as wal,
            current_setting('max_connections')::int as connections, current_setting('server_encoding') as encoding`,
  );
  expect(row).toMatchObject({ wal: 'logical', encoding: 'UTF8' });
  expect(new URL(database.url).pathname).toBe(`/${(row as { name: string }).name}`);
  expect((row as { connections: number }).connections).toBeGreaterThanOrEqual(300);
});

test('a database is copied from a template, and dropped although somebody is still connected', async () => {
  await query(database.url, 'create table seeded (n int); insert into seeded select generate_series(1, 7)');
  const copy = await createDatabase(inject('postgresUrl'), {
    template: new URL(database.url).pathname.slice(1),
    patience: 50,
  });
  expect(await query(copy.url, 'select count(*)::int as n from seeded')).toEqual([{ n: 7 }]);

  const lingering = new pg.Client({ connectionString: copy.url });
  const cut = new Promise((resolve) => lingering.on('error', resolve));
  await lingering.connect();
  await copy.drop();
  await cut;
  const names = await query(inject('postgresUrl'), 'select datname from pg_database');
  expect(names).not.toContainEqual({ datname: copy.name });
});

test('whoever leaves late, as on a busy machine, is waited for and not cut off', async () => {
  const made = await createDatabase(inject('postgresUrl'));
  const leaving = new pg.Client({ connectionString: made.url });
  const errors: unknown[] = [];
  leaving.on('error', (error) => errors.push(error));
  await leaving.connect();
  const left = sleep(1_000).then(() => leaving.end());
  await Promise.all([left, made.drop()]);
  expect(errors).toEqual([]);
});

test('many databases can be made at once', async () => {
  const made = await Promise.all(Array.from({ length: 6 }, () => createDatabase(inject('postgresUrl'))));
  expect(new Set(made.map(({ url }) => url)).size).toBe(6);
  await Promise.all(made.map((each) => each.drop()));
});
