import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startPostgres, startRedis } from '../../index.ts';
import { run } from '../../run.ts';

const program = new URL('../fixtures/hold-services.ts', import.meta.url).pathname;
const patience = { timeout: 20_000, interval: 50 };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cachekit-life-test-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Whether a process runs; one that has ended but was not reaped by its parent does not. */
async function runs(pid: number): Promise<boolean> {
  if (existsSync('/proc/self/stat')) {
    try {
      return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
    } catch {
      return false;
    }
  }
  const { stdout } = await run('ps', ['-o', 'stat=', '-p', String(pid)]);
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
}

interface Held {
  readonly child: ChildProcess;
  readonly pids: readonly number[];
  /** The temporary folder of the program, which holds only what it made. */
  readonly temporary: string;
  readonly stderr: () => string;
}

/** Starts the program as the leader of a process group of its own, as a shell does. */
async function hold(mode: string, env: NodeJS.ProcessEnv = {}): Promise<Held> {
  const temporary = await mkdtemp(join(folder, 'tmp-'));
  const child = spawn(process.execPath, [program, mode], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CACHEKIT_SERVICES_ANNOUNCED: '', TMPDIR: temporary, ...env },
  });
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    once(lines, 'line').then(([first]) => String(first)),
    once(child, 'close').then(() => Promise.reject(new Error(`It ended before it had started:\n${stderr}`))),
  ]);
  const { redis, postgres } = JSON.parse(line) as { redis: number; postgres: number };
  return { child, pids: [redis, postgres], temporary, stderr: () => stderr };
}

async function expectNothingLeft({ pids, temporary }: Held): Promise<void> {
  await vi.waitFor(async () => {
    expect(await Promise.all(pids.map(runs))).toEqual([false, false]);
    expect(await readdir(temporary)).toEqual([]);
  }, patience);
}

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`${signal} of the program, as a terminal sends it to its group, leaves no process and no folder`, async () => {
    const held = await hold('stay');
    expect(await Promise.all(held.pids.map(runs))).toEqual([true, true]);
    expect((await readdir(held.temporary)).length).toBe(2);
    process.kill(-(held.child.pid as number), signal);
    await once(held.child, 'exit');
    await expectNothingLeft(held);
  });
}

test('a crash of the program leaves no process and no folder', async () => {
  const held = await hold('crash');
  if (held.child.exitCode === null) await once(held.child, 'exit');
  expect(held.child.exitCode).not.toBe(0);
  await expectNothingLeft(held);
});

test('a program that forgets to stop its servers ends all the same, and they with it', async () => {
  const held = await hold('leave');
  if (held.child.exitCode === null) await once(held.child, 'exit');
  expect(held.child.exitCode).toBe(0);
  await expectNothingLeft(held);
});

test('two first starts at once share the caches without harm, and each service is announced once', async () => {
  const home = await mkdtemp(join(folder, 'cache-'));
  const both = await Promise.all([
    hold('leave', { XDG_CACHE_HOME: home }),
    hold('leave', { XDG_CACHE_HOME: home }),
  ]);
  for (const held of both) {
    await expectNothingLeft(held);
    expect(held.stderr().match(/^services: Redis from /gm)).toHaveLength(1);
    expect(held.stderr().match(/^services: PostgreSQL from /gm)).toHaveLength(1);
  }
  const [layout = ''] = await readdir(join(home, 'cachekit'));
  const kept = await readdir(join(home, 'cachekit', layout));
  expect(kept.filter((name) => name.startsWith('.'))).toEqual([]);
  expect(kept.filter((name) => name.startsWith('cluster-')).length).toBeLessThanOrEqual(1);
});

test('Redis: frozen, woken, killed and restarted on the same port; stop() leaves no process', async () => {
  const redis = await startRedis({ own: true });
  const client = new Redis(redis.url, { retryStrategy: () => 20 });
  client.on('error', () => {});
  await client.set('a', '1');

  await redis.kill('SIGSTOP');
  let answered = false;
  const pending = client.get('a').then((value) => {
    answered = true;
    return value;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(answered).toBe(false);
  await redis.kill('SIGCONT');
  expect(await pending).toBe('1');

  const first = redis.pid as number;
  await redis.kill('SIGKILL');
  expect(await runs(first)).toBe(false);
  const { port } = redis;
  await redis.restart();
  expect(redis.port).toBe(port);
  expect(redis.pid).not.toBe(first);
  await vi.waitFor(async () => expect(await client.get('a')).toBeNull(), patience);
  client.disconnect();

  await redis.kill('SIGSTOP');
  await redis.stop();
  expect(await runs(redis.pid as number)).toBe(false);
});

test('PostgreSQL: frozen, woken, killed and restarted with its data on the same port; stop() leaves no process', async () => {
  const postgres = await startPostgres({ own: true });
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: postgres.url });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const client = await connect();
  await client.query('create table kept as select 42 as n');

  await postgres.kill('SIGSTOP');
  let answered = false;
  const pending = client.query('select n from kept').then(({ rows }) => {
    answered = true;
    return rows;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(answered).toBe(false);
  await postgres.kill('SIGCONT');
  expect(await pending).toEqual([{ n: 42 }]);

  const first = postgres.pid as number;
  const cut = new Promise((resolve) => client.once('end', resolve));
  await postgres.kill('SIGKILL');
  await cut;
  expect(await runs(first)).toBe(false);
  const { url } = postgres;
  await postgres.restart();
  expect(postgres.url).toBe(url);
  const again = await connect();
  expect((await again.query('select n from kept')).rows).toEqual([{ n: 42 }]);

  await postgres.kill('SIGSTOP');
  await postgres.stop();
  expect(await runs(postgres.pid as number)).toBe(false);
});
