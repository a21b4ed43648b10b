import { createServer, type Socket } from 'node:net';
import { tenantPrefix } from '@cachekit/core';
import { startSentinel } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { describe, expect, it } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis } from './clients.ts';
import { eventually } from './eventually.ts';

describe.each(ioredis)('by Sentinel over $name', ({ sentinel }) => {
  it('the master dies: calls settle in time, and commands and coherence find the new one by themselves', async () => {
    const servers = await startSentinel();
    const redis = ioredisExecutor(sentinel(servers.name, servers.sentinels), { commandTimeout: 500 });
    const namespace = uniqueNamespace();
    const tier = redisTier({ redis, namespace });
    const events: string[] = [];
    const key = `${tenantPrefix(namespace, 'c', 'acme')}devices`;
    try {
      tier.coherence?.start({
        changed: (keys) => events.push(`changed ${keys.join(' ')}`),
        changedAll: () => {},
        lost: () => events.push('lost'),
        armed: () => events.push('armed'),
      });
      await eventually(() => events).toEqual(['armed']);
      await tier.delete([key]);
      await eventually(() => events).toEqual(['armed', `changed ${key}`]);
      const dead = await servers.killMaster();
      const start = performance.now();
      await expect(tier.delete([key])).rejects.toThrow();
      expect(performance.now() - start).toBeLessThan(2_000);
      await eventually(() => events).toContain('lost');
      await servers.promoted(dead);
      const works = (): Promise<boolean> =>
        tier.delete([key]).then(
          () => true,
          () => false,
        );
      await eventually(works).toBe(true);
      await expect.poll(() => events.at(-1)?.startsWith('changed') || events.at(-1)).toBeTruthy();
      await expect.poll(() => events.filter((event) => event === 'armed').length).toBeGreaterThan(1);
      events.length = 0;
      await tier.delete([key]);
      await eventually(() => events).toContain(`changed ${key}`);
    } finally {
      await tier.close();
      await redis.close();
      await servers.stop();
    }
  }, 90_000);

  it('a Sentinel that does not answer is passed over, and holds up nothing when all is closed', async () => {
    const servers = await startSentinel();
    const open = new Set<Socket>();
    const frozen = createServer((socket) => {
      open.add(socket);
      socket.on('error', () => {}).on('close', () => open.delete(socket));
      socket.resume();
    });
    await new Promise<void>((resolve) => {
      frozen.listen(0, '127.0.0.1', resolve);
    });
    const { port } = frozen.address() as { port: number };
    const sentinels = [{ host: '127.0.0.1', port }, ...servers.sentinels];
    const redis = ioredisExecutor(sentinel(servers.name, sentinels), { commandTimeout: 500 });
    const unanswered = ioredisExecutor(sentinel(servers.name, sentinels.slice(0, 1)), {
      commandTimeout: 500,
    });
    const heard: string[] = [];
    try {
      const said = (text: string): Promise<string> =>
        redis.command('PUBLISH', 'news', text).then(
          () => text,
          () => 'refused',
        );
      const subscribed = redis.subscriber().subscribe('news', (text) => heard.push(text));
      subscribed.catch(() => {});
      await eventually(() => said('first')).toBe('first');
      await subscribed;
      await said('second');
      await eventually(() => heard).toContain('second');
      await expect(unanswered.command('PING')).rejects.toThrow('no connection');
      await Promise.all([redis.close(), unanswered.close()]);
      await eventually(() => open.size).toBe(0);
    } finally {
      await Promise.all([redis.close(), unanswered.close()]);
      for (const socket of open) socket.destroy();
      frozen.close();
      await servers.stop();
    }
  }, 90_000);
});
