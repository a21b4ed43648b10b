export type { RateLimitCheck } from '../http/check.ts';
export type { RateLimitFields } from '../http/headers.ts';
export type { AnswerOptions } from '../http/spread.ts';
export { type ResponseLike, rateLimit } from '../middleware/express.ts';
export {
  type ExpressHits,
  type ExpressMiddlewareOptions,
  type ExpressRateLimitStore,
  rateLimitStore,
} from '../middleware/express-store.ts';
export type { RateLimitOptions } from '../middleware/request-gate.ts';
