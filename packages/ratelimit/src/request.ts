import { ArgumentError, globalPrefix, tenantPrefix } from '@cachekit/core';
import { type KeyParts, keyTail } from './key.ts';
import type { Policy } from './policy.ts';
import type { LimitRequest, LimitStore } from './stores/store.ts';

/** What one check takes besides the ids. */
export interface ConsumeOptions {
  /**
   * Puts the keys under this tenant: other tenants' equal ids are counted apart, and on Redis Cluster all keys of the
   * check are in one slot.
   */
  tenant?: string;
  /**
   * Tokens to take from each policy; an integer from 1.
   * @defaultValue `1`
   */
  cost?: number;
}

type RequestOf = (
  names: readonly string[],
  ids: Readonly<Record<string, KeyParts>>,
  options: ConsumeOptions,
  now: number,
) => LimitRequest;

/**
 * Makes the function that turns the arguments of a check into what a store is asked, and refuses what no check can
 * work with before the store is asked.
 */
export function requestBuilder(policies: Readonly<Record<string, Policy>>, store: LimitStore): RequestOf {
  const heads = new Map<string, { readonly policy: Policy; readonly head: string }>();
  for (const [name, policy] of Object.entries(policies)) {
    heads.set(name, { policy, head: `${name}:${policy.algorithm.version}` });
  }
  const known = [...heads.keys()].join(', ');
  const global = globalPrefix(store.namespace, 'l');

  return (names, ids, options, now) => {
    const { tenant, cost = 1 } = options;
    for (const option in options) {
      if (option !== 'tenant' && option !== 'cost') {
        throw new ArgumentError(`consume: unknown option "${option}"; it takes tenant, cost`);
      }
    }
    if (names.length === 0) throw new ArgumentError('consume: give at least one policy');
    if (!Number.isSafeInteger(cost) || cost < 1) {
      throw new ArgumentError(`consume: cost: ${String(cost)} is none; give an integer from 1`);
    }
    if (store.oneSlot && names.length > 1 && tenant === undefined) {
      throw new ArgumentError('consume: on Redis Cluster several policies in one check need a tenant');
    }
    const prefix = tenant === undefined ? global : tenantPrefix(store.namespace, 'l', tenant);
    const asked: Policy[] = [];
    const keys: string[] = [];
    for (const name of names) {
      const entry = heads.get(name);
      if (entry === undefined) {
        throw new ArgumentError(`consume: no policy "${name}"; this limiter has ${known}`);
      }
      const parts = ids[name];
      if (!Array.isArray(parts) || (parts.length === 0 && tenant === undefined)) {
        throw new ArgumentError(`consume: ${name}: give the parts of an id, such as [userId]`);
      }
      asked.push(entry.policy);
      keys.push(prefix + entry.head + keyTail(name, parts));
    }
    return { policies: asked, keys, cost, now };
  };
}
