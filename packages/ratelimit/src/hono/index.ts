export type { RateLimitCheck } from '../http/check.ts';
export type { RateLimitFields } from '../http/headers.ts';
export type { AnswerOptions } from '../http/spread.ts';
export { type HonoContextLike, rateLimit } from '../middleware/hono.ts';
export type { RateLimitOptions } from '../middleware/request-gate.ts';
