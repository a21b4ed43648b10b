import type { Erasure } from '../cache/erasure.ts';
import { type KeyKind, tenantPrefix } from '../keys/wire-key.ts';
import { deletePrefix, dropPrefix } from './invalidate.ts';
import type { EngineParts } from './parts.ts';

const kinds: readonly KeyKind[] = ['c', 'l', 'e', 's', 'p', 'k', 'n'];

/** Deletes whatever is kept under the keys of a tenant, of every kind. */
export async function eraseTenant(parts: EngineParts, tenant: string): Promise<Erasure> {
  parts.use();
  const prefixOf = (kind: KeyKind) => tenantPrefix(parts.namespace, kind, tenant);
  const entries = prefixOf('c');
  const removed = { c: 0, l: 0, e: 0, s: 0, p: 0, k: 0, n: 0 };
  const { remote } = parts;
  dropPrefix(parts, entries);
  if (remote === undefined) {
    return { clock: parts.time.tick(), removed, unreached: kinds.filter((kind) => kind !== 'c') };
  }
  try {
    let clock = 0;
    for (const kind of kinds) {
      const count = (keys: number) => {
        removed[kind] += keys;
      };
      clock = await remote.write('delete', (tier) => deletePrefix(tier, prefixOf(kind), count));
    }
    if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { prefix: entries, clock });
    return { clock, removed, unreached: [] };
  } finally {
    dropPrefix(parts, entries);
  }
}
