export {
  type Alert,
  type AlertEvents,
  type AlertKind,
  type Alerts,
  type AlertsOptions,
  type AlertThresholds,
  createAlerts,
} from './alerts.ts';
export { DueQueue } from './async/due-queue.ts';
export { withDeadline } from './async/with-deadline.ts';
// The cache.
export type { Cache, CacheRaw, CacheRead } from './cache/cache.ts';
export type { CacheEventName, CacheEvents, CacheListener } from './cache/cache-events.ts';
export type { CacheHealth } from './cache/cache-health.ts';
export type { CacheOptions, MemoryOptions } from './cache/cache-options.ts';
export type { Erasure } from './cache/erasure.ts';
export type { IndexedRead } from './cache/indexed-read.ts';
export type { InspectedEntry, Inspection } from './cache/inspection.ts';
export type { LoadContext, Loader, LoadSettings, ManyLoaded, ManyLoader } from './cache/loader.ts';
export type { GetOptions, ReadOptions } from './cache/read-options.ts';
export type { WarmOptions, WarmProgress } from './cache/warm-up.ts';
// What adapters are built with.
export { jsonCodec } from './codecs/json.ts';
export { createCache } from './create-cache.ts';
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
// What is cached, and for whom.
export { defineInvalidations, type InvalidationRule, type Invalidations } from './invalidations.ts';
export type { CacheKey, CacheTag, KeyResource } from './keys/cache-key.ts';
export {
  defineKeys,
  type GlobalKeySpace,
  type KeySpaceOptions,
  type TenantKeySpace,
} from './keys/key-space.ts';
export { type NoParams, type Resource, type ResourceOptions, resource } from './keys/resource.ts';
export { maxTagsLength } from './keys/resource-keys.ts';
export { stableHash } from './keys/stable-hash.ts';
export type { StandardIssueV1, StandardResultV1, StandardSchemaV1 } from './keys/standard-schema.ts';
export {
  assertNamespace,
  defaultNamespace,
  escapePart,
  escapeTenant,
  globalPrefix,
  type KeyKind,
  maxTenantLength,
  tenantPrefix,
} from './keys/wire-key.ts';
export { maxKeyLength, namespaceTag, tenantTag } from './keys/wire-tag.ts';
export type { Countdown } from './lock/countdown.ts';
export { HeldLease, type LeaseParts, leaseCountdown } from './lock/held-lease.ts';
export { type LockRequest, lockRequest, maxLockKeyLength } from './lock/lock-request.ts';
export { withLock } from './lock/with-lock.ts';
export { createMemoryLocks, type MemoryLocksOptions } from './memory/memory-locks.ts';
export type { Sharing } from './memory/sharing.ts';
export type { LoadTimeBucket } from './metrics/load-times.ts';
export type { CacheMetricsSnapshot, ResourceMetrics } from './metrics/metrics.ts';
export { type OpenMetricsSample, openMetricsFamily } from './metrics/open-metrics-family.ts';
export { type TtlAdvice, type TtlAdviceOptions, ttlAdvice } from './metrics/ttl-advice.ts';
export {
  type ChangePipeline,
  type ChangePipelineEvents,
  type ChangePipelineListener,
  type ChangePipelineOptions,
  createChangePipeline,
} from './pipeline/change-pipeline.ts';
// From a committed change to the cache and to those who listen.
export { type InvalidatedCache, invalidateStage } from './pipeline/invalidate-stage.ts';
export type { ChangeContext, Stage } from './pipeline/stage.ts';
export { type CachePolicy, defaultPolicy, type ResolvedPolicy } from './policy.ts';
export { assertExecutor } from './ports/assert-executor.ts';
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
export { type Clock, stayAwake, systemClock, type Timer } from './ports/clock.ts';
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
