export type { RateLimitCheck } from '../http/check.ts';
export type { RateLimitFields } from '../http/headers.ts';
export type { AnswerOptions } from '../http/spread.ts';
export {
  type FastifyReplyLike,
  type FastifyRequestLike,
  type RateLimitOptions,
  rateLimit,
} from '../middleware/fastify.ts';
