export type { Algorithm, LimitState, Rule, Step } from './algorithms/algorithm.ts';
export { fixedWindow } from './algorithms/fixed-window.ts';
export { gcra } from './algorithms/gcra.ts';
export type { Decision, DecisionSource, LimitStatus } from './decision.ts';
export { RateLimitStoreError } from './errors.ts';
export { type RateLimitFields, rateLimitHeaders } from './http/headers.ts';
export { type RejectionParts, tooManyRequests } from './http/too-many-requests.ts';
export type { KeyParts } from './key.ts';
export {
  createRateLimiter,
  type OnUnavailable,
  type RateLimiter,
  type RateLimiterOptions,
} from './limiter.ts';
export type { Policy, PolicyOptions } from './policy.ts';
export type { ConsumeOptions } from './request.ts';
export { type MemoryStoreOptions, memoryStore } from './stores/memory.ts';
export { type RedisStoreOptions, redisStore } from './stores/redis.ts';
export type { LimitRequest, LimitStore } from './stores/store.ts';
