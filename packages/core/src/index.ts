export {
  type Alert,
  type AlertEvents,
  type AlertKind,
  type Alerts,
  type AlertsOptions,
  type AlertThresholds,
  createAlerts,
} from './alerts.ts';
// The cache.
export type { Cache, CacheRaw, CacheRead } from './cache.ts';
export type { CacheHealth } from './cache-health.ts';
// What adapters are built with.
export { jsonCodec } from './codecs/json.ts';
export { type CacheOptions, createCache, type MemoryOptions } from './create-cache.ts';
// Errors and durations.
export { type Duration, durationMs } from './duration.ts';
export {
  decodeRead,
  type EntryField,
  type EntryFields,
  encodeEntry,
  encodeLease,
  entryFields,
  entryHeaderLength,
  entryKinds,
  entryMagic,
  fieldNumber,
  fieldText,
  longestLeaseMs,
  newToken,
  noToken,
  tagSeparator,
  tokenLength,
  withField,
} from './entry.ts';
export type { Erasure } from './erasure.ts';
export {
  ArgumentError,
  assertKnownOptions,
  CacheClosedError,
  CacheKitError,
  type CacheKitErrorCode,
  ConfigurationError,
  isCacheKitError,
  LoadTimeoutError,
  LockLostError,
  TierError,
} from './errors.ts';
export type { CacheEventName, CacheEvents, CacheListener } from './events.ts';
export type { IndexedRead } from './indexed-read.ts';
export type { InspectedEntry, Inspection } from './inspection.ts';
// What is cached, and for whom.
export { defineInvalidations, type InvalidationRule, type Invalidations } from './invalidations.ts';
export {
  type CacheKey,
  type CacheTag,
  defineKeys,
  type GlobalKeySpace,
  type KeyResource,
  type KeySpaceOptions,
  maxKeyLength,
  maxTagsLength,
  type NoParams,
  namespaceTag,
  type Resource,
  type ResourceOptions,
  resource,
  type TenantKeySpace,
  tenantTag,
} from './key-space.ts';
export type { LoadTimeBucket } from './load-times.ts';
export type { LoadContext, Loader, LoadSettings, ManyLoaded, ManyLoader } from './loader.ts';
export type { Countdown } from './lock/countdown.ts';
export { HeldLease, type LeaseParts, leaseCountdown } from './lock/held-lease.ts';
export { type LockRequest, lockRequest, maxLockKeyLength } from './lock/lock-request.ts';
export { withLock } from './lock/with-lock.ts';
export { createMemoryLocks, type MemoryLocksOptions } from './memory/memory-locks.ts';
export type { Sharing } from './memory/sharing.ts';
export type { CacheMetricsSnapshot, ResourceMetrics } from './metrics.ts';
// From a committed change to the cache and to those who listen.
export { type InvalidatedCache, invalidateStage } from './pipeline/invalidate-stage.ts';
export type { ChangeContext, Stage } from './pipeline/stage.ts';
export {
  type ChangePipeline,
  type ChangePipelineEvents,
  type ChangePipelineListener,
  type ChangePipelineOptions,
  createChangePipeline,
} from './pipeline.ts';
export { type CachePolicy, defaultPolicy, type ResolvedPolicy } from './policy.ts';
// The ports that adapters implement.
export type {
  ChangeBatch,
  ChangedRow,
  ChangeEvent,
  ChangeOperation,
  ChangeSink,
  ChangeSource,
  GapReason,
  SourceLag,
} from './ports/change-source.ts';
export { type Clock, systemClock, type Timer } from './ports/clock.ts';
export type { Codec } from './ports/codec.ts';
export type { Coherence, CoherenceMode, CoherenceSink } from './ports/coherence.ts';
export type { Lease, LockedResult, LockOptions, LockProvider, ReleaseOutcome } from './ports/lock.ts';
export type {
  ConnectionState,
  RedisArgument,
  RedisCapabilities,
  RedisExecutor,
  RedisScript,
  RedisSubscriber,
  RedisTracker,
  RedisTrackingListener,
} from './ports/redis.ts';
export type { RedisStats, RedisStatsSource } from './ports/redis-stats.ts';
export type {
  AcquireRequest,
  Acquisition,
  CommitRequest,
  EntryKind,
  RemoteEntry,
  RemoteLook,
  RemoteRead,
  RemoteTier,
  RemoteTierCapabilities,
  TierClock,
} from './ports/remote-tier.ts';
export type { SqlExecutor, SqlListener, SqlResult } from './ports/sql.ts';
export type { GetOptions, ReadOptions } from './read-options.ts';
export { stableHash } from './stable-hash.ts';
export type { StandardIssueV1, StandardResultV1, StandardSchemaV1 } from './standard-schema.ts';
export { type TtlAdvice, type TtlAdviceOptions, ttlAdvice } from './ttl-advice.ts';
export type { WarmOptions, WarmProgress } from './warm-up.ts';
export {
  assertNamespace,
  defaultNamespace,
  escapePart,
  escapeTenant,
  globalPrefix,
  type KeyKind,
  maxTenantLength,
  tenantPrefix,
} from './wire-key.ts';
