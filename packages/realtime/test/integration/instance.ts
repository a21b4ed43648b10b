import { ioredisExecutor } from '@cachekit/redis';
import { serve } from '@hono/node-server';
import { Redis } from 'ioredis';
import { createHub, createRedisLog, sseHandler } from '../../src/index.ts';

// One instance as a process of its own, so that a test can kill it: `node instance.ts <redis url> <namespace>`.
const [redisUrl = '', namespace = ''] = process.argv.slice(2);
const redis = ioredisExecutor(new Redis(redisUrl, { lazyConnect: true }), { commandTimeout: '5s' });
const hub = createHub({ log: createRedisLog({ redis, namespace }), heartbeat: '500ms' });
const handler = sseHandler(hub, {
  authenticate: (request) => {
    const tenant = request.headers.get('Authorization');
    return tenant ? { tenant } : undefined;
  },
});
const server = serve({ fetch: handler, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});
process.on('disconnect', () => server.close());
