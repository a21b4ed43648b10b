export type {
  Algorithm,
  AlgorithmLua,
  Block,
  Denial,
  LimitState,
  Rule,
  Step,
} from './algorithms/algorithm.ts';
export type { Calendar, Period } from './algorithms/calendar.ts';
export { type ConcurrencyOptions, concurrency } from './algorithms/concurrency.ts';
export { type FixedWindowOptions, fixedWindow } from './algorithms/fixed-window.ts';
export { gcra } from './algorithms/gcra.ts';
export type { Policy, PolicyOptions } from './algorithms/policy.ts';
export { type QuotaOptions, quota } from './algorithms/quota.ts';
export { slidingWindow } from './algorithms/sliding-window.ts';
export { createRateLimiter } from './create-rate-limiter.ts';
export type { Decision, DecisionSource, DenialReason, LimitStatus } from './decision.ts';
export { RateLimitStoreError } from './errors.ts';
export { getRateLimiter, type LimitResult, type SimpleRateLimiter } from './get-rate-limiter.ts';
export { type ClientIpOptions, type ClientRequestLike, clientIp } from './http/client-ip.ts';
export { type RateLimitFields, rateLimitHeaders } from './http/headers.ts';
export { spreadTimes } from './http/spread.ts';
export { type RejectionParts, tooManyRequests } from './http/too-many-requests.ts';
export type { KeyParts } from './key.ts';
export type {
  BlockOptions,
  CheckedIds,
  LimitIds,
  RateLimiter,
  RateLimiterOptions,
  WaitOptions,
} from './limiter.ts';
export type { RateLimiterEvents, RateLimiterListener } from './limiter-events.ts';
export { type PolicyMetrics, type RateLimitMetrics, rateLimitOpenMetrics } from './metrics.ts';
export type { OnUnavailable } from './on-unavailable.ts';
export type { ConsumeOptions, TenantOption } from './request.ts';
export type { Reservation } from './reservation.ts';
export { type MemoryStoreOptions, memoryStore } from './stores/memory.ts';
export { type RedisStoreOptions, redisStore } from './stores/redis.ts';
export type {
  BlockRequest,
  LimitMode,
  LimitRequest,
  LimitSession,
  LimitStore,
  PolicyAnswer,
  StoreAnswer,
  StoreContext,
} from './stores/store.ts';
