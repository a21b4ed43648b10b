import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { outboxSource, pgExecutor } from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { committed, installWork, poolOf, Recorder, sorted } from './outbox-fixture.ts';

const database = useDatabase();
const deadline = { timeout: 20_000, interval: 20 };
const children: ChildProcess[] = [];
let pool: pg.Pool;

beforeAll(async () => {
  pool = poolOf(database.url);
  await installWork(pool);
});
afterAll(() => pool.end());
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Consumer {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly sequences: () => string[];
}

function consumer(name: string, takeover: string, hangAt = 0): Consumer {
  const script = fileURLToPath(new URL('consumer-process.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    ['--conditions=@cachekit/source', script, database.url, name, takeover, String(hangAt)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return { child, lines, sequences: () => lines.filter((line) => /^\d+$/.test(line)) };
}

function here(name: string): { recorder: Recorder; stop: () => Promise<void>; start: () => Promise<void> } {
  const recorder = new Recorder();
  const source = outboxSource({
    sql: pgExecutor(pool),
    outbox: 'change',
    name,
    batchSize: 5,
    timing: { poll: 20, takeover: '1s' },
  });
  return { recorder, start: () => source.start(recorder), stop: () => source.stop() };
}

test('of three processes one delivers at a time: everything exactly once while all live', async () => {
  const [first, second] = [consumer('shared', '5s'), consumer('shared', '5s')];
  const third = here('shared');
  await expect
    .poll(() => [first, second].every((each) => each.lines.includes('started')), deadline)
    .toBe(true);
  await third.start();
  for (let id = 1; id <= 400; id += 1) await pool.query('insert into work values ($1, 0)', [id]);
  const all = await committed(pool);
  const seen = (): string[] => [...first.sequences(), ...second.sequences(), ...third.recorder.seen];
  await expect.poll(() => seen().length, deadline).toBeGreaterThanOrEqual(all.length);
  expect(sorted(seen())).toEqual(all);
  await third.stop();
});

test.each(['SIGKILL', 'SIGSTOP'] as const)(
  'when the process that holds the cursor gets %s, another goes on from the batch under way',
  async (signal) => {
    const name = `taken-over-${signal}`;
    const holder = consumer(name, '1s', 12);
    await expect.poll(() => holder.lines.includes('started'), deadline).toBe(true);
    const before = new Set(await committed(pool));
    await pool.query(
      'insert into work select n, 0 from generate_series(1000, 1039) n on conflict (id) do update set n = 1',
    );
    await expect.poll(() => holder.lines.includes('hanging'), deadline).toBe(true);
    const next = here(name);
    await next.start();
    // Alive, though hanging: it keeps the cursor.
    await pool.query('select pg_sleep(1.5)');
    expect(next.recorder.seen).toEqual([]);
    holder.child.kill(signal);
    const all = (await committed(pool)).filter((seq) => !before.has(seq));
    const acknowledged = holder.sequences().slice(0, 10);
    await expect.poll(() => next.recorder.seen.length, deadline).toBe(all.length - acknowledged.length);
    expect([...acknowledged, ...next.recorder.seen]).toEqual(all);
    await next.stop();
  },
);
