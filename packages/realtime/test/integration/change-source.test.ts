import {
  type ChangeBatch,
  type ChangeEvent,
  type ChangePipeline,
  type ChangeSource,
  createChangePipeline,
  type Stage,
} from '@cachekit/core';
import { createListener, pgExecutor } from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { changeSource, installCapture } from '../../src/postgres/index.ts';

const database = useDatabase();
const deadline = { timeout: 25_000, interval: 10 };
const ends: (() => Promise<unknown>)[] = [];
let pool: pg.Pool;

beforeAll(async () => {
  pool = poolOf();
  await pool.query('create table calls (id int primary key, user_id int, status int not null, note text)');
  await installCapture(pgExecutor(pool), { tables: { calls: { tenant: 'user_id' } } });
});
afterAll(() => pool.end());
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await pool.query(
    'truncate calls; truncate cachekit.change; delete from cachekit.cursor; delete from cachekit.wake',
  );
});

function poolOf(): pg.Pool {
  const made = new pg.Pool({ connectionString: database.url, max: 12 });
  made.on('error', () => {});
  return made;
}

/** A source as a process of its own would have it: own pool, own LISTEN connection. */
function source(name: string, poll: number | '1h' = 20): ChangeSource {
  const own = poolOf();
  const listener = createListener({
    connect: () => new pg.Client({ connectionString: database.url, application_name: 'listener' }),
  });
  ends.push(
    () => own.end(),
    () => listener.close(),
  );
  return changeSource({ sql: pgExecutor(own), listener, name, batchSize: 40, timing: { poll } });
}

async function pipeline(
  name: string,
  stages: readonly Stage[],
  poll?: number | '1h',
): Promise<ChangePipeline> {
  const made = createChangePipeline({ sources: [source(name, poll)], stages });
  ends.push(() => made.stop());
  await made.start();
  return made;
}

/** The table as whoever applied every change would have it, by tenant. */
class Replica {
  readonly rows = new Map<string, unknown>();
  readonly sequences: string[] = [];

  readonly apply = async (batch: ChangeBatch): Promise<void> => {
    for (const change of batch) this.#one(change);
  };

  #one(change: ChangeEvent): void {
    const at = `${change.tenant}/${change.key.id}`;
    this.sequences.push(change.sequence);
    // An update or delete of a row that is not there as it was, or an insert of one that is: something is missing.
    expect(this.rows.get(at)).toEqual(change.old);
    if (change.new === undefined) this.rows.delete(at);
    else this.rows.set(at, change.new);
  }

  sorted(): unknown[] {
    return [...this.rows.values()].sort((a, b) => (a as { id: number }).id - (b as { id: number }).id);
  }
}

async function table(): Promise<unknown[]> {
  return (await pool.query('select * from calls order by id')).rows;
}

/** Statements of every kind over the same 40 rows, held before the commit, some rolled back. */
async function write(seed: number, transactions: number): Promise<void> {
  let state = seed * 7919;
  const random = (below: number): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  const client = await pool.connect();
  try {
    for (let done = 0; done < transactions; done += 1) {
      await client.query('begin');
      try {
        const id = random(40);
        const statement = [
          `insert into calls values (${id}, ${random(3)}, 0) on conflict (id) do update set status = calls.status + 1`,
          `update calls set status = status + 1 where id = ${id}`,
          `update calls set user_id = ${random(3)} where id = ${id}`,
          `delete from calls where id = ${id}`,
          `merge into calls c using (values (${id})) v (id) on c.id = v.id
             when matched and c.status > 5 then delete when matched then update set note = 'm${done}'
             when not matched then insert (id, user_id, status) values (v.id, 1, 0)`,
        ][random(5)];
        await client.query(statement ?? '');
        await client.query('savepoint a');
        await client.query(`update calls set note = 's${done}' where id = ${id}`);
        if (random(2) === 0) await client.query('rollback to savepoint a');
        await client.query('select pg_sleep($1)', [random(5) / 1_000]);
        await client.query(random(6) === 0 ? 'rollback' : 'commit');
      } catch (error) {
        await client.query('rollback');
        // MERGE and an insert of the same id may meet; that transaction wrote nothing.
        if ((error as { code?: string }).code !== '23505') throw error;
      }
    }
  } finally {
    client.release();
  }
}

test('a replica that applies every change is the table, with 8 writers of every kind and a LISTEN that is cut', async () => {
  const replica = new Replica();
  await pipeline('replica', [replica.apply], '1h');
  let writing = true;
  const cutting = (async () => {
    while (writing) {
      await pool.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listener'",
      );
      await pool.query('select pg_sleep(0.15)');
    }
  })();
  await Promise.all(Array.from({ length: 8 }, (_, seed) => write(seed + 1, 60)));
  writing = false;
  await cutting;
  const { rows } = await pool.query('select seq from cachekit.change order by seq');
  expect(rows.length).toBeGreaterThan(200);
  await expect.poll(() => replica.sequences.length, deadline).toBeGreaterThanOrEqual(rows.length);
  expect([...replica.sequences].sort((a, b) => Number(a) - Number(b))).toEqual(rows.map((row) => row.seq));
  expect(replica.sorted()).toEqual(await table());
});

test('two pipelines deliver everything exactly once between them, in order, though stages fail now and then', async () => {
  const replica = new Replica();
  let calls = 0;
  const flaky: Stage = async () => {
    calls += 1;
    if (calls % 7 === 3) throw new Error('now and then');
  };
  const failures: number[] = [];
  for (const each of [
    await pipeline('shared', [flaky, replica.apply]),
    await pipeline('shared', [flaky, replica.apply]),
  ]) {
    each.on('stageFailed', ({ stage }) => failures.push(stage));
  }
  await Promise.all(Array.from({ length: 4 }, (_, seed) => write(seed + 100, 60)));
  const { rows } = await pool.query('select seq from cachekit.change order by seq');
  await expect.poll(() => replica.sequences.length, deadline).toBeGreaterThanOrEqual(rows.length);
  expect([...replica.sequences].sort((a, b) => Number(a) - Number(b))).toEqual(rows.map((row) => row.seq));
  expect(replica.sorted()).toEqual(await table());
  expect(failures.length).toBeGreaterThan(0);
  expect(new Set(failures)).toEqual(new Set([0]));
});

test('two consumers of different names each get everything', async () => {
  const [first, second] = [new Replica(), new Replica()];
  await pipeline('first', [first.apply], '1h');
  await pipeline('second', [second.apply], '1h');
  await write(55, 40);
  const { rowCount } = await pool.query('select from cachekit.change');
  await expect
    .poll(() => [first.sequences.length, second.sequences.length], deadline)
    .toEqual([rowCount, rowCount]);
});

test('one statement over 20000 rows arrives whole', async () => {
  const replica = new Replica();
  await pipeline('bulk', [replica.apply]);
  await pool.query('insert into calls select n, n % 5, 0 from generate_series(1, 20000) n');
  await pool.query('update calls set status = 1, user_id = (user_id + 1) % 5');
  await expect.poll(() => replica.sequences.length, { timeout: 90_000, interval: 10 }).toBe(60_000);
  expect(replica.sorted()).toEqual(await table());
}, 100_000);

test('a source without anything captured says what to do', async () => {
  const empty = new pg.Pool({ connectionString: database.url });
  ends.push(() => empty.end());
  await pool.query('alter table cachekit.change rename to elsewhere');
  try {
    await expect(
      changeSource({ sql: pgExecutor(empty) }).start({ batch: async () => {}, gap: async () => {} }),
    ).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining('cachekit."change" does not exist'),
    });
  } finally {
    await pool.query('alter table cachekit.elsewhere rename to change');
  }
});
