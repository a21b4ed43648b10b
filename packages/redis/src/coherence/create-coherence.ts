import { type Coherence, type CoherenceMode, type RedisExecutor, systemClock } from '@cachekit/core';
import { cachePrefix, changesChannel } from '../keys.ts';
import { ChangeLog } from './change-log.ts';
import { LogCoherence } from './log.ts';
import type { OwnWrites } from './own-writes.ts';
import { PubSubCoherence } from './pubsub.ts';
import { TrackingCoherence } from './tracking.ts';
import { TtlCoherence } from './ttl.ts';

/** What a coherence needs of its tier. */
export interface CoherenceParts {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  /** Key of the log of changes, where one is written. */
  readonly log: string | undefined;
  /** For tracking, which needs it. */
  readonly own: OwnWrites | undefined;
  /** Hears that the server refuses to track, and what is used instead. */
  readonly fellBack: (to: CoherenceMode | undefined, reason: unknown) => void;
}

/** The coherence of a tier; with `any` it tracks, or falls back to `pubsub` where the server refuses. */
export function createCoherence(mode: CoherenceMode | 'any', parts: CoherenceParts): Coherence {
  const { redis, namespace, own } = parts;
  const channel = changesChannel(namespace);
  const log = parts.log === undefined ? undefined : new ChangeLog(redis, parts.log, systemClock);
  if (own !== undefined) {
    const next = mode === 'any' ? new PubSubCoherence(redis, channel, log, systemClock) : undefined;
    return new TrackingCoherence(redis, cachePrefix(namespace), own, next, parts.fellBack);
  }
  if (mode === 'pubsub') return new PubSubCoherence(redis, channel, log, systemClock);
  if (log !== undefined) return new LogCoherence(log, systemClock);
  return new TtlCoherence();
}
