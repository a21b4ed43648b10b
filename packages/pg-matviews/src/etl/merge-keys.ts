import type { SqlExecutor } from '@cachekit/core';
import type { CheckedEtl } from './definition.ts';
import type { Fit } from './fit.ts';
import { deleteKeys, type Merged, mergePage } from './merge.ts';
import { pageOfKeys } from './pages.ts';

/** Makes the rows of some keys what they are in the remote database: written, or deleted where there is none. */
export async function mergeKeys(
  remote: SqlExecutor,
  local: SqlExecutor,
  etl: CheckedEtl,
  fit: Fit,
  keys: readonly string[],
): Promise<Merged & { read: number }> {
  const page = await pageOfKeys(remote, etl, fit, keys);
  const there = new Set(page.keys);
  const gone = keys.filter((key) => !there.has(key));
  const deleted = await deleteKeys(local, etl, fit.key, gone, page.keys);
  const merged = await mergePage(local, etl, fit, page);
  return { ...merged, deleted, read: page.keys.length };
}
