import { ConfigurationError } from '../errors.ts';
import type { RedisExecutor } from './redis.ts';

/**
 * Refuses what is no executor, such as a client itself.
 *
 * @param factory - Named in the error.
 * @throws ConfigurationError `INVALID_CONFIGURATION`
 */
export function assertExecutor(factory: string, redis: RedisExecutor): void {
  if (typeof redis?.script === 'function' && typeof redis.capabilities === 'object') return;
  throw new ConfigurationError(`${factory}: redis is no executor; give ioredisExecutor(client)`);
}
