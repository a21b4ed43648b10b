import type { CacheHealth } from '../cache/cache-health.ts';
import { distrust } from '../memory/tier.ts';
import type { EngineParts } from './parts.ts';

/** Asks the remote tier for its time and says what works. Never rejects. */
export async function health(parts: EngineParts, closed: boolean): Promise<CacheHealth> {
  const { remote, memory, clock, flights } = parts;
  let loading = 0;
  for (const flight of flights.live()) if (flight.phase === 'loading') loading++;
  const off = closed || !parts.enabled;
  if (remote === undefined || closed) return { state: off ? 'off' : 'up', loading };
  // Who asks before the first read is told what a read would find, and not that nobody listens yet for good.
  parts.use();
  const sentAt = clock.now();
  let told: CacheHealth['remote'];
  try {
    await remote.attempt('time', (tier) => tier.time());
    told = { tier: remote.tier.name, reachable: true, roundTripMs: clock.now() - sentAt };
  } catch (error) {
    told = { tier: remote.tier.name, reachable: false, error };
  }
  const listening = remote.tier.coherence;
  const armed = memory.epoch !== distrust;
  const well = told.reachable && (listening === undefined || armed || memory.maxEntries === 0);
  return {
    state: off ? 'off' : well ? 'up' : 'degraded',
    remote: told,
    ...(listening === undefined ? {} : { coherence: { mode: listening.mode, armed } }),
    ...(parts.repairs === undefined ? {} : { repairs: parts.repairs.pending }),
    loading,
  };
}
