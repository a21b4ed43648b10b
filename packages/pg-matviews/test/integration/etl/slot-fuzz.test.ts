import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Etl } from '../../../src/etl/index.ts';
import { testDatabase } from '../database.ts';
import { copyOf, nothingWrong, remoteSchema, slotSources, uniqueSlot, wrongKeys } from './copy.ts';

const long = process.env.CACHEKIT_LONG === '1';
const seed = Number(process.env.CACHEKIT_SEED ?? (long ? Date.now() % 1_000_000 : 1));
const fixture = fileURLToPath(new URL('../../fixtures/copy-until-killed.ts', import.meta.url));

const remote = testDatabase(`${remoteSchema} alter table messages replica identity full;`);
const local = testDatabase();
const slot = uniqueSlot();
const copy = (options: Parameters<typeof copyOf>[2] = {}): Etl =>
  copyOf(remote, local, { sources: slotSources, slot, ...options });

let state = seed;
/** Numbers in [0, 1): a linear congruential generator, enough to spread the writers. */
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 4_294_967_296;
}
const below = (limit: number): number => Math.floor(random() * limit);
const talk = (): number => 1 + below(90);
const contact = (): number => 1 + below(10);

const statements: readonly (() => string)[] = [
  () => `insert into talks (id, contact_id) values (${talk()}, ${contact()}) on conflict do nothing`,
  () => `insert into messages (talk_id, body) values (${talk()}, repeat('x', ${below(3_000)}))`,
  () => `update talks set status = status + 1 where id = ${talk()}`,
  () => `update talks set contact_id = ${contact()} where id = ${talk()}`,
  () => `update talks set id = ${talk()} where id = ${talk()}`,
  () => `update messages set talk_id = ${talk()} where talk_id = ${talk()}`,
  () => `update messages set body = body || '.' where talk_id = ${talk()}`,
  () => `delete from messages where talk_id = ${talk()}`,
  () => `delete from talks where id = ${talk()}`,
  () => `update contacts set name = name || '.' where id = ${contact()}`,
  () => (random() < 0.05 ? 'truncate messages' : 'select 1'),
];

/** Writes in transactions with savepoints, some of them long or rolled back. A date is never touched. */
async function write(client: pg.Client, goesOn: () => boolean): Promise<void> {
  await client.query(`set lock_timeout = '500ms'`);
  while (goesOn()) {
    await client.query('begin');
    for (let i = 1 + below(3); i > 0; i--) {
      // A key that is taken, a deadlock or a lock that takes too long ends the savepoint alone.
      await client.query('savepoint s');
      const wrote = await client.query(statements[below(statements.length)]?.() ?? 'select 1').then(
        () => true,
        () => false,
      );
      await client.query(!wrote || random() < 0.2 ? 'rollback to s' : 'release s');
      // The writer holds its transaction open; nothing waits for this to pass.
      if (random() < 0.1) await sleep(below(300));
    }
    await client.query(random() < 0.9 ? 'commit' : 'rollback');
  }
}

const children: ChildProcess[] = [];
beforeEach(async () => {
  await remote.pool.query(`truncate talks, messages, contacts;
    insert into contacts select i, 'C' || i from generate_series(1, 10) i;
    insert into talks select i, 1 + i % 10 from generate_series(1, 60) i`);
  await local.pool.query('drop table if exists talks_copy; drop schema if exists cachekit cascade');
  await copy().install();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  const dropped = () =>
    copy()
      .dropSlot()
      .then(
        () => true,
        () => false,
      );
  await expect.poll(dropped, { timeout: 10_000 }).toBe(true);
});

const durationMs = long ? 90_000 : 4_000;
it(
  `by a slot and two processes is exact whenever the writers rest, after savepoints, moved keys, deletes, TRUNCATE and transactions that are long or rolled back (CW-6, seed ${seed})`,
  async () => {
    const etl = copy({ maxRows: 60 });
    const beside = copy({ maxRows: 500 });
    const kinds = new Set<string>();
    etl.on('run', ({ kind }) => kinds.add(kind));
    const until = Date.now() + durationMs;
    while (Date.now() < until) {
      const rest = Date.now() + durationMs / 4;
      const clients = await Promise.all(Array.from({ length: 6 }, () => remote.client()));
      const writers = clients.map((client) => write(client, () => Date.now() < rest));
      while (Date.now() < rest) await Promise.all([etl.run(), beside.run()]);
      await Promise.all(writers);
      await Promise.all(clients.map((client) => client.end()));
      await etl.run();
      expect(await wrongKeys(remote, local)).toEqual(nothingWrong);
    }
    expect(kinds).toContain('changes');
  },
  durationMs + 60_000,
);

const kills = long ? 40 : 3;
it(
  'by a slot loses nothing when the process is killed at any moment (CW-6)',
  async () => {
    let goesOn = true;
    const clients = await Promise.all([remote.client(), remote.client()]);
    const writers = clients.map((client) => write(client, () => goesOn));
    for (let kill = 0; kill < kills; kill++) {
      const child = spawn(
        process.execPath,
        ['--conditions=@cachekit/source', fixture, remote.url, local.url, slot],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      children.push(child);
      await once(child.stdout, 'data');
      // The moment is random; nothing waits for it.
      await sleep(Math.random() * 500);
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    goesOn = false;
    await Promise.all(writers);
    await copy().run();
    expect(await wrongKeys(remote, local)).toEqual(nothingWrong);
  },
  kills * 4_000 + 60_000,
);
