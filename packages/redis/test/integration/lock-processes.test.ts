import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RedisExecutor } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createLocks, ioredisExecutor, type Locks } from '../../src/index.ts';
import { ioredis } from './clients.ts';
import { eventually } from './eventually.ts';

const script = fileURLToPath(new URL('../fixtures/hold-lock.ts', import.meta.url));
const [client] = ioredis as [(typeof ioredis)[0] & object];
const ttlMs = 1_500;

describe('a process that holds a lock', () => {
  let redis: RedisExecutor;
  let locks: Locks;
  let child: ChildProcess;
  let lines: string[];

  beforeEach(async () => {
    const namespace = uniqueNamespace();
    redis = ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '10s' });
    locks = createLocks({ redis, namespace });
    lines = [];
    const args = ['--conditions=@cachekit/source', script, inject('redisUrl'), namespace, String(ttlMs)];
    const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child = started;
    createInterface({ input: started.stdout }).on('line', (line) => lines.push(line));
    await eventually(() => lines[0]).toMatch(/^held \d+$/);
  });
  afterEach(async () => {
    child.kill('SIGKILL');
    await locks.close();
    await redis.close();
  });

  const token = (): number => Number(lines[0]?.slice('held '.length));

  it('is paused for longer than its lock lives: the next one has it, and it is told when it wakes up', async () => {
    child.kill('SIGSTOP');
    const next = await locks.lock('a', { ttl: '60s', wait: '60s' });
    expect(next?.fencingToken).toBeGreaterThan(token());
    expect(lines).toHaveLength(1);
    child.kill('SIGCONT');
    await eventually(() => lines.slice(1)).toEqual(['told', 'lost']);
    expect(next?.signal.aborted).toBe(false);
    expect(await next?.release()).toBe('released');
  });

  it('is killed: the next one has it when its time is over, and not before', async () => {
    const before = performance.now();
    expect(await locks.lock('a', { ttl: '60s' })).toBeUndefined();
    child.kill('SIGKILL');
    const next = await locks.lock('a', { ttl: '60s', wait: '60s' });
    expect(next?.fencingToken).toBeGreaterThan(token());
    // It was renewed at the latest a third of its time before.
    expect(performance.now() - before).toBeGreaterThan(ttlMs / 3);
    expect(await next?.release()).toBe('released');
  });
});
