import type { InspectedEntry, Inspection } from '../cache/inspection.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import type { TagRecord } from '../memory/tag-records.ts';
import type { ResolvedPolicy } from '../policy.ts';
import { unreadable } from './hold.ts';
import type { Found } from './looks/looker.ts';
import type { EngineParts } from './parts.ts';
import { assertKey } from './read-request.ts';
import { freshness } from './steps/freshness.ts';
import { trusted } from './steps/trust.ts';

type Misfit = ReturnType<typeof unreadable>;

/** Says what a read would do now and why. Changes nothing and counts nothing. */
export async function inspect(parts: EngineParts, key: CacheKey): Promise<Inspection> {
  parts.use();
  assertKey(parts, key);
  const { wire, resource } = key;
  const { policy } = parts.resourceState(resource);
  const records = parts.tags.retain(key.tags, parts.everything);
  let others: readonly TagRecord[] = [];
  try {
    const { found, unreached } = await look(parts, wire, records);
    others = found?.others ?? others;
    const memory = inMemory(parts, wire, policy);
    const misfit = found && unreadable(parts, key, found);
    const remote = inRemote(parts, found, policy, misfit);
    const flying = parts.flights.get(wire) ?? parts.flights.refreshOf(wire);
    const leased = found?.read.state === 'leased';
    const loading = flying?.phase === 'loading' ? 'here' : leased ? 'elsewhere' : undefined;
    const verdict = judged(parts, memory, remote, found, misfit, unreached);
    const wires = new Set(records.map((record) => record.wire));
    if (found?.read.state === 'entry') for (const tag of found.read.entry.tags) wires.add(tag);
    const tags = [...wires].map((tag) => ({ tag, version: parts.tags.get(tag)?.version }));
    return { key: wire, resource: resource.name, policy, ...verdict, memory, remote, tags, loading };
  } finally {
    parts.tags.release(records);
    parts.tags.release(others);
  }
}

async function look(
  parts: EngineParts,
  wire: string,
  records: readonly TagRecord[],
): Promise<{ found: Found | undefined; unreached: boolean }> {
  try {
    return { found: await parts.looks?.look(wire, records), unreached: false };
  } catch {
    return { found: undefined, unreached: true };
  }
}

function inMemory(parts: EngineParts, wire: string, policy: ResolvedPolicy): InspectedEntry | undefined {
  const entry = parts.memory.look(wire);
  if (entry === undefined) return undefined;
  const now = parts.clock.now();
  return {
    life: freshness(entry, now, policy),
    trusted: trusted(entry, parts.memory.epoch, now),
    kind: entry.kind,
    clock: entry.clock,
    ageMs: now - parts.time.toLocal(entry.clock / 1_000),
    freshForMs: entry.freshUntil - now,
  };
}

function inRemote(
  parts: EngineParts,
  found: Found | undefined,
  policy: ResolvedPolicy,
  misfit: Misfit,
): InspectedEntry | undefined {
  if (found?.read.state !== 'entry') return undefined;
  const { entry } = found.read;
  const now = parts.clock.now();
  const freshUntil = entry.freshUntil === 0 ? 0 : parts.time.toLocal(entry.freshUntil);
  return {
    life: freshness({ kind: entry.kind, freshUntil }, now, policy),
    trusted: found.valid !== undefined && misfit === undefined,
    kind: entry.kind,
    clock: entry.clock,
    ageMs: now - parts.time.toLocal(entry.clock / 1_000),
    freshForMs: freshUntil - now,
  };
}

function judged(
  parts: EngineParts,
  memory: InspectedEntry | undefined,
  remote: InspectedEntry | undefined,
  found: Found | undefined,
  misfit: Misfit,
  unreached: boolean,
): Pick<Inspection, 'would' | 'why'> {
  if (!parts.enabled) return { would: 'miss', why: 'The cache is switched off' };
  for (const [tier, entry] of [
    ['memory', memory],
    ['the remote tier', remote],
  ] as const) {
    if (!entry?.trusted) continue;
    if (entry.life === 'fresh') return { would: 'hit', why: `Fresh in ${tier}` };
    if (entry.life === 'stale') {
      return { would: 'stale', why: `In ${tier}, past its ttl and within staleWhileRevalidate` };
    }
  }
  if (unreached)
    return { would: 'miss', why: 'The remote tier does not answer, and memory has nothing fresh' };
  if (found?.read.state === 'leased') return { would: 'miss', why: 'Another process or call loads it now' };
  if (found?.read.state === 'absent' && found.read.damaged) {
    return { would: 'miss', why: 'What stands at the key is no entry' };
  }
  if (misfit !== undefined) {
    const { error } = misfit;
    const reason = error instanceof Error ? error.message : String(error);
    return { would: 'miss', why: `What is stored cannot be read: ${reason}` };
  }
  const entry = remote ?? memory;
  if (entry === undefined) return { would: 'miss', why: 'No tier has it' };
  if (!entry.trusted) return { would: 'miss', why: 'A tag of it was invalidated, or the key was changed' };
  return {
    would: 'miss',
    why: entry.life === 'last-resort' ? 'Past its ttl; kept for a load that fails' : 'Too old',
  };
}
