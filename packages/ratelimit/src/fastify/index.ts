export type { RateLimitCheck } from '../http/check.ts';
export type { RateLimitFields } from '../http/headers.ts';
export type { AnswerOptions } from '../http/spread.ts';
export type { ClosingResponse } from '../http/when-sent.ts';
export {
  type FastifyReplyLike,
  type FastifyRequestLike,
  rateLimit,
} from '../middleware/fastify.ts';
export type { RateLimitOptions } from '../middleware/request-gate.ts';
