import type { RedisExecutor } from '@cachekit/core';
import { RedisUnavailableError } from '../../src/index.ts';

/** What an executor is asked to do: a command or a script, and the first of its keys. */
interface Asked {
  readonly name: string;
  readonly key: string;
}

/** The executor of a process to which Redis does not answer where `isRefused` says so. */
export function refusing(redis: RedisExecutor, isRefused: (asked: Asked) => boolean): RedisExecutor {
  const refuse = (name: string, key: unknown): Promise<never> | undefined =>
    isRefused({ name, key: String(key) })
      ? Promise.reject(new RedisUnavailableError(name, { message: 'no answer', sent: false }))
      : undefined;
  return {
    capabilities: redis.capabilities,
    command: (name, ...args) => refuse(name, args[0]) ?? redis.command(name, ...args),
    script: (script, keys, args) => refuse(script.name, keys[0]) ?? redis.script(script, keys, args),
    scan: (prefix) => redis.scan(prefix),
    subscriber: () => redis.subscriber(),
    close: () => redis.close(),
  };
}
