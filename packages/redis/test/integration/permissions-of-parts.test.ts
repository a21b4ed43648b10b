import { startRedis } from '@cachekit/services';
import { describe, expect, it } from 'vitest';
import {
  createCounters,
  createLists,
  createLocks,
  createPairing,
  createPresence,
  createSessions,
  ioredisExecutor,
} from '../../src/index.ts';
import { ioredis, observe } from './clients.ts';
import { eventually } from './eventually.ts';

const [client] = ioredis as [(typeof ioredis)[0] & object];

/** What `docs/redis-acl.md` gives for every connection, and what `docs/locks-sessions-presence.md` adds. */
const rights = [
  ...'resetchannels -@all +eval +evalsha +time +get +set +pttl +pexpire +del +publish'.split(' '),
  ...'+ping +info +subscribe +unsubscribe'.split(' '),
  ...'~ck:k:* ~ck:s:* ~ck:p:* ~ck:n:* &ck:k:wake:* &ck:s:global:pairing:* &ck:p:tenant:*'.split(' '),
  ...'+@hash +@sortedset +@list +@set +exists +incr +decr +renamenx'.split(' '),
];

describe('a Redis user with restricted rights', () => {
  it('may do all that locks, sessions, pairing, presence, counters and lists need', async () => {
    const server = await startRedis({ own: true });
    const observer = observe(server.url);
    await observer.call('ACL', 'SETUSER', 'app', 'on', '>secret', ...rights);
    const redis = ioredisExecutor(client.standalone(server.url.replace('redis://', 'redis://app:secret@')), {
      commandTimeout: '10s',
    });
    const locks = createLocks({ redis });
    const presence = createPresence({ redis, ttl: 200, grace: 10 });
    const pairing = createPairing<number, number>({ redis });
    try {
      const first = await locks.lock('a', { ttl: '10s' });
      const second = locks.lock('a', { ttl: '10s', wait: '10s' });
      await first?.extend();
      await first?.release();
      expect(await (await second)?.release()).toBe('released');

      const sessions = createSessions<number>({ redis, idleTtl: '1m', maxLifetime: '1d' });
      const { id } = await sessions.create('acme', { user: '7', data: 1 });
      await sessions.update(id, (data) => data + 1);
      await sessions.rotate(id);
      expect(await sessions.endAll('acme', '7')).toBe(1);

      const { code, secret } = await pairing.create(1);
      const claimed = pairing.waitForClaim(secret);
      await pairing.claim('wrong', { by: '7' });
      await pairing.claim(code, { by: '7' });
      await claimed;
      await pairing.confirm(code, { by: '7', answer: 1 });
      await pairing.poll(secret);
      expect(await pairing.cancel(secret)).toBe(true);

      const changes: string[] = [];
      presence.onChange(({ type }) => changes.push(type));
      const end = await presence.watch('acme', () => {});
      await presence.seen('acme', 'ann', { device: 'phone', meta: 1 });
      await presence.seen('acme', 'ann', { device: 'desk' });
      await presence.leave('acme', 'ann');
      const held = await presence.hold('acme', 'bob');
      await held.leave();
      await eventually(() => changes.filter((type) => type === 'leave').length).toBe(3);
      await presence.count('acme');
      end();

      await createCounters({ redis, window: '1h' }).add('acme', 'calls');
      await createCounters({ redis, window: '1h' }).read('acme', 'calls');
      const lists = createLists<number>({ redis, ttl: '1m' });
      await lists.append('acme', 'a', 1);
      await lists.last('acme', 'a');
      await lists.clear('acme', 'a');
      expect(await observer.call('ACL', 'LOG')).toEqual([]);
    } finally {
      await Promise.all([locks.close(), presence.close(), pairing.close()]);
      await redis.close();
      observer.disconnect();
      await server.stop();
    }
  });
});
