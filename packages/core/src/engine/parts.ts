import type { DueQueue } from '../async/due-queue.ts';
import type { CacheEvents } from '../cache/cache-events.ts';
import type { Events } from '../events.ts';
import type { KeyResource } from '../keys/cache-key.ts';
import type { CoarseClock } from '../memory/coarse-clock.ts';
import type { Sharing } from '../memory/sharing.ts';
import type { TagRecords } from '../memory/tag-records.ts';
import type { MemoryTier } from '../memory/tier.ts';
import type { Metrics, ResourceCounters } from '../metrics/metrics.ts';
import type { ResolvedPolicy } from '../policy.ts';
import type { Clock } from '../ports/clock.ts';
import type { Codec } from '../ports/codec.ts';
import type { AcquireRequest, Acquisition, CommitRequest, TierClock } from '../ports/remote-tier.ts';
import type { Looks } from './looks/looks.ts';
import type { RemoteCall } from './remote-call.ts';
import type { Repairs } from './repairs.ts';
import type { Asks } from './steps/asks.ts';
import type { Background } from './steps/background.ts';
import type { Failures } from './steps/failures.ts';
import type { Readings } from './steps/readings.ts';
import type { Flight, SingleFlight } from './steps/single-flight.ts';
import type { Timeouts } from './steps/timeouts.ts';
import type { TierTime } from './tier-time.ts';
import type { Tokens } from './tokens.ts';

/** What a read came to. Times are of this process. */
export interface Outcome {
  readonly value: unknown;
  /** `miss`: a load was waited for. `stale`: no longer fresh, and served all the same. */
  readonly state: 'hit' | 'miss' | 'stale';
  /** Which tier answered a hit or gave the stale value. */
  readonly from: 'memory' | 'remote' | 'loader';
  /** When the load of the value began. */
  readonly clock: TierClock;
  /** How long that load took. */
  readonly loadMs: number;
  /** Until when it is fresh; 0 for what was made stale on purpose, and for what is kept nowhere because it was overtaken. */
  readonly freshUntil: number;
}

/** A resource as one cache sees it: its policy over that of the cache, and its counters. */
export interface ResourceState {
  readonly policy: ResolvedPolicy;
  readonly counters: ResourceCounters;
  /** Reads in a row that found nothing in the remote tier. */
  misses: number;
}

/** What the conductors of one cache share. */
export interface EngineParts {
  readonly namespace: string;
  /** Wire key of the tag that every entry carries. */
  readonly everything: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly tokens: Tokens;
  readonly codec: Codec;
  readonly memory: MemoryTier;
  /** What callers have of the values in memory. */
  readonly sharing: Sharing;
  /** For hits: at most a millisecond behind `clock`. */
  readonly coarse: CoarseClock;
  readonly tags: TagRecords;
  readonly flights: SingleFlight<Outcome>;
  readonly readings: Readings;
  readonly background: Background;
  readonly failures: Failures;
  readonly time: TierTime;
  readonly events: Events<CacheEvents>;
  readonly metrics: Metrics;
  /** Off: reads go to their loaders, and writes take away instead of storing. */
  enabled: boolean;
  /** Absent: memory is all there is. */
  readonly remote: RemoteCall | undefined;
  /** Of loads that may take so long and no longer. */
  readonly timeouts: Timeouts;
  /** Absent where the remote tier is, as the next ones are. */
  readonly looks: Looks | undefined;
  readonly acquires: Asks<AcquireRequest, Acquisition> | undefined;
  readonly commits: Asks<CommitRequest, boolean> | undefined;
  /** Of flights that hold one, which is prolonged for as long as their load runs. */
  readonly leases: DueQueue<Flight<Outcome>> | undefined;
  /** Absent: an invalidation that does not reach the remote tier is rejected. */
  readonly repairs: Repairs | undefined;
  resourceState(resource: KeyResource): ResourceState;
  /** Called before anything else; the first call makes the coherence listen. @throws CacheClosedError */
  use(): void;
}
