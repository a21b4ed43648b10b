import {
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  ConfigurationError,
  type Duration,
  defaultNamespace,
  durationMs,
} from '@cachekit/core';
import { RedisSessions } from './redis-sessions.ts';
import type { Sessions, SessionsOptions } from './sessions.ts';

/**
 * Keeps sessions in Redis, one hash each, and who has which.
 *
 * - **Two lives**: one that is prolonged by use (`idleTtl`) and one that is not (`maxLifetime`). Time is the server's.
 * - **No lost change**: data is replaced only if it is what was read. **No return**: a save that comes after the end of
 *   a session ends nothing and brings nothing back.
 * - **Nothing to steal**: 256 random bits per id, of which Redis has the SHA-256 only.
 * - A use is written once per tenth of `idleTtl`, so a busy session costs reads.
 * - What stands in Redis and is no session counts as none.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @see OWASP Session Management Cheat Sheet
 * @example
 * const sessions = createSessions<{ theme: string }>({ redis, idleTtl: '30m', maxLifetime: '30d' });
 * const { id } = await sessions.create('acme', { user: '7', data: { theme: 'dark' } });
 * await sessions.update(id, (data) => ({ ...data, theme: 'light' }));
 * await sessions.endAll('acme', '7');
 */
export function createSessions<T>(options: SessionsOptions): Sessions<T> {
  assertKnownOptions('createSessions', options, ['redis', 'namespace', 'idleTtl', 'maxLifetime', 'random']);
  const { redis, namespace = defaultNamespace } = options;
  assertExecutor('createSessions', redis);
  assertNamespace(namespace);
  const idleMs = lifeMs(options.idleTtl, 'idleTtl');
  const mostMs = lifeMs(options.maxLifetime, 'maxLifetime');
  const random = options.random ?? ((count) => crypto.getRandomValues(new Uint8Array(count)));
  return new RedisSessions<T>(redis, namespace, { idleMs, mostMs }, random);
}

/** 10 years: beyond it nobody means what was written. */
const longestMs = 10 * 365 * 86_400_000;

function lifeMs(duration: Duration, name: string): number {
  const ms = Math.ceil(durationMs(duration, name));
  if (ms >= 1 && ms <= longestMs) return ms;
  throw new ConfigurationError(`${name}: give more than 0 and at most 10 years`);
}
