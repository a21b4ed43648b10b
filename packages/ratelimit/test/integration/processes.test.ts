import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createLocks, createPresence } from '@cachekit/redis';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterEach, expect, inject, test } from 'vitest';
import { concurrency, createRateLimiter, redisStore } from '../../src/index.ts';
import { hotPolicies } from '../fixtures/hot-policies.ts';
import { connect } from './connection.ts';

const { redis } = connect();
const script = fileURLToPath(new URL('../fixtures/consume.ts', import.meta.url));
const skewsMs = [0, 300, -300, 300_000, -300_000, 3_600_000];

let children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});

/** Starts processes whose clocks are off by so much, and waits until all can begin. */
async function start(
  namespace: string,
  clocks: readonly number[],
  requests: number,
): Promise<ChildProcess[]> {
  children = clocks.map((skewMs) =>
    fork(script, [inject('redisUrl'), namespace, String(skewMs), String(requests)], {
      execArgv: ['--conditions=@cachekit/source'],
    }),
  );
  await Promise.all(children.map((child) => messageOf(child)));
  return children;
}

function messageOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`The process ended with ${code}`)));
  });
}

async function keysWithoutEnd(namespace: string): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of redis.scan(`${namespace}:`)) {
    for (const key of keys) if ((await redis.command('PTTL', key)) === -1) found.push(key);
  }
  return found;
}

test('four processes whose clocks disagree admit exactly the limit together, by every algorithm (scenario 10)', async () => {
  const namespace = uniqueNamespace();
  const processes = await start(namespace, skewsMs.slice(-4), 250);
  const answers = processes.map(messageOf);
  for (const child of processes) child.send('go');
  const counts = (await Promise.all(answers)) as Record<keyof typeof hotPolicies, number>[];
  for (const [name, { limit }] of Object.entries(hotPolicies)) {
    const sum = counts.reduce((total, each) => total + each[name as keyof typeof hotPolicies], 0);
    expect(sum, name).toBe(limit);
  }
  expect(await keysWithoutEnd(namespace)).toEqual([]);
}, 60_000);

test('a process that is killed in the middle of its checks leaves no key without an end (scenario 1)', async () => {
  const namespace = uniqueNamespace();
  const [victim] = (await start(namespace, [0], 20_000)) as [ChildProcess];
  victim.send('go');
  await expect
    .poll(async () => (await redis.command('EXISTS', `${namespace}:l:global:strict:s1:hot`)) as number, {
      timeout: 20_000,
      interval: 2,
    })
    .toBe(1);
  victim.kill('SIGKILL');
  await new Promise((resolve) => victim.once('exit', resolve));
  expect(await keysWithoutEnd(namespace)).toEqual([]);
}, 60_000);

test('a process that ends at SIGTERM leaves its slot, its lock and its place to others at once', async () => {
  const namespace = uniqueNamespace();
  const limits = createRateLimiter({
    policies: { slots: concurrency({ limit: 1, lease: '10m' }) },
    store: redisStore({ redis, namespace }),
    timeout: '10s',
  });
  const locks = createLocks({ redis, namespace });
  const presence = createPresence({ redis, namespace, ttl: '10m' });
  const left: unknown[] = [];
  const end = await presence.watch('acme', (news) => {
    if (news.type === 'changes') left.push(...news.changes.filter(({ type }) => type === 'leave'));
  });
  const child = fork(
    fileURLToPath(new URL('../fixtures/hold-all.ts', import.meta.url)),
    [inject('redisUrl'), namespace],
    {
      execArgv: ['--conditions=@cachekit/source'],
    },
  );
  children = [child];
  try {
    await messageOf(child);
    expect((await limits.peek({ slots: ['a'] })).allowed).toBe(false);
    expect(await locks.lock('a', { ttl: '1m' })).toBeUndefined();
    expect(await presence.count('acme')).toMatchObject({ members: 1 });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect((await limits.peek({ slots: ['a'] })).allowed).toBe(true);
    const lease = await locks.lock('a', { ttl: '1m' });
    expect(await lease?.release()).toBe('released');
    expect(await presence.count('acme')).toMatchObject({ members: 0 });
    await expect.poll(() => left, { timeout: 15_000 }).toMatchObject([{ member: 'ann', reason: 'leave' }]);
  } finally {
    end();
    await Promise.all([locks.close(), presence.close()]);
  }
}, 60_000);
