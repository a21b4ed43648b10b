export type { RateLimitCheck } from '../http/check.ts';
export type { RateLimitFields } from '../http/headers.ts';
export type { AnswerOptions } from '../http/spread.ts';
export { type WithRateLimitOptions, withRateLimit } from '../middleware/fetch.ts';
export { type RateLimitedFetchOptions, rateLimitedFetch } from '../middleware/rate-limited-fetch.ts';
