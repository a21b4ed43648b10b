import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { testDatabase } from '../database.ts';
import { copyOf, nothingWrong, remoteSchema, wrongKeys } from './copy.ts';

const kills = process.env.CACHEKIT_LONG === '1' ? 60 : 4;
const fixture = fileURLToPath(new URL('../../fixtures/copy-until-killed.ts', import.meta.url));

const remote = testDatabase(remoteSchema);
const local = testDatabase();

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
});

it(
  'misses nothing when the process is killed at any moment, in the first load or later (CW-6)',
  async () => {
    await remote.pool.query(`insert into contacts select i, 'C' || i from generate_series(1, 50) i;
      insert into talks select i, 1 + i % 50 from generate_series(1, 3000) i;
      insert into messages (talk_id, body) select 1 + i % 3000, 'm' from generate_series(1, 9000) i`);
    const etl = copyOf(remote, local);
    await etl.install();
    const writer = new AbortController();
    const writing = (async () => {
      for (let i = 1; !writer.signal.aborted; i++) {
        await remote.pool.query(`insert into messages (talk_id, body) values ($1, 'while it is killed')`, [
          1 + ((i * 37) % 3_000),
        ]);
        await remote.pool.query(
          `update talks set status = status + 1, updated_at = now() at time zone 'UTC' where id = $1`,
          [1 + ((i * 53) % 3_000)],
        );
      }
    })();
    for (let kill = 0; kill < kills; kill++) {
      const child = spawn(
        process.execPath,
        ['--conditions=@cachekit/source', fixture, remote.url, local.url],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      children.push(child);
      await once(child.stdout, 'data');
      // Spread over the load at first; the moment is random, nothing waits for it.
      await sleep(Math.random() * 600);
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    writer.abort();
    await writing;
    await etl.run();
    await etl.run();
    expect(await wrongKeys(remote, local)).toEqual(nothingWrong);
  },
  kills * 4_000 + 60_000,
);
