import { expect, it } from 'vitest';
import { upstashExecutor } from '../src/upstash/index.ts';

it.each(['AbortError', 'TimeoutError'])(
  'a request that the client gives up by %s is told as one without a reply',
  async (name) => {
    const cause = new DOMException('This operation was aborted', name);
    const redis = upstashExecutor({ exec: () => Promise.reject(cause) });
    await expect(redis.command('TIME')).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
      message: 'Redis, TIME: no reply in time',
      sent: true,
      cause,
    });
  },
);
