import { hash32 } from '../../keys/hash32.ts';

/**
 * A ttl that is shorter by up to `jitter` of itself, by the key alone: every process and every load shortens it alike,
 * and entries that were made at one moment do not end at one.
 */
export function jittered(ttlMs: number, jitter: number, wire: string): number {
  return jitter === 0 ? ttlMs : ttlMs * (1 - (jitter * hash32(wire)) / 0x1_0000_0000);
}
