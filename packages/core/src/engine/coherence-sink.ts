import type { TagRecord } from '../memory/tag-records.ts';
import type { CoherenceSink } from '../ports/coherence.ts';
import { release } from './load/lease.ts';
import type { EngineParts, Outcome } from './parts.ts';
import type { Flight } from './steps/single-flight.ts';

/** What memory, the flights and the waiting do when another process changed something. */
export function coherenceSink(parts: EngineParts): CoherenceSink {
  return {
    changed: (keys, version) => {
      for (const wire of keys) changed(parts, wire, version);
    },
    holds: (wire) =>
      parts.memory.look(wire) !== undefined ||
      parts.tags.get(wire) !== undefined ||
      parts.flights.liveOf(wire).length > 0,
    changedAll: () => {
      parts.memory.clear();
      parts.tags.changedAll();
      for (const flight of parts.flights.live()) touch(parts, flight);
      parts.readings.touchedAll();
      wakeAll(parts);
    },
    lost: () => {
      parts.memory.lost();
      parts.events.emit('coherence', { state: 'lost' });
    },
    armed: () => {
      parts.memory.armed();
      wakeAll(parts);
      parts.events.emit('coherence', { state: 'armed' });
    },
    resumed: () => {
      parts.memory.resumed();
      wakeAll(parts);
      parts.events.emit('coherence', { state: 'armed' });
    },
    fellBack: (to, reason) => {
      parts.events.emit('coherenceFallback', to === undefined ? { reason } : { to, reason });
    },
  };
}

function changed(parts: EngineParts, wire: string, version: string | undefined): void {
  const record = parts.tags.changed(wire);
  if (record !== undefined) {
    for (const flight of parts.flights.live()) {
      if (!flight.tags.includes(record) || wrote(flight, version)) continue;
      touch(parts, flight);
      if (flight.phase === 'loading') parts.background.run(releaseIfOvertaken(parts, flight, record));
    }
  }
  parts.memory.changed(wire, version);
  parts.readings.changed(wire, 'touched');
  for (const flight of parts.flights.liveOf(wire)) {
    if (!wrote(flight, version)) touch(parts, flight);
    flight.wake();
  }
}

function wakeAll({ flights }: EngineParts): void {
  for (const flight of flights.live()) flight.wake();
}

/** Whether this is the echo of the flight's own commit, which may come before the answer to it. */
function wrote(flight: Flight<Outcome>, version: string | undefined): boolean {
  return version !== undefined && flight.token === version;
}

/** What is being read or loaded may be older than the change: it fills no memory, and nobody new joins it. */
function touch(parts: EngineParts, flight: Flight<Outcome>): void {
  flight.touched = true;
  if (flight.phase !== 'waiting') parts.flights.detach(flight);
}

/** A load that a tag overtook is refused in the end; without its lease the next one need not wait for that. */
async function releaseIfOvertaken(
  parts: EngineParts,
  flight: Flight<Outcome>,
  record: TagRecord,
): Promise<void> {
  const { token } = flight;
  if (token === undefined) return;
  const versions = await parts.remote?.read(
    'tagVersions',
    (tier) => tier.tagVersions([record.wire]),
    record.wire,
  );
  const version = versions?.[0];
  if (version === undefined || version <= flight.clock || flight.token !== token) return;
  flight.overtaken = true;
  release(parts, flight);
}
