import type { Loader } from '../cache/loader.ts';
import type { ReadOptions } from '../cache/read-options.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import { answer } from './get-or-load.ts';
import type { EngineParts } from './parts.ts';
import { readRequest } from './read-request.ts';

/**
 * Loads a key now, also while it is fresh, and stores the value; one process of all. What is there stays readable
 * meanwhile.
 */
export async function refresh(
  parts: EngineParts,
  key: CacheKey,
  loader: Loader<unknown>,
  options: ReadOptions | undefined,
): Promise<unknown> {
  parts.use();
  const request = readRequest(parts, key, loader, options, 'refresh');
  return (await answer(parts, { ...request, renews: true })).value;
}
