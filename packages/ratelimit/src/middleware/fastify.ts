import { type ClosingResponse, whenClosed } from '../http/when-sent.ts';
import type { RateLimiter } from '../limiter.ts';
import { type RateLimitOptions, RequestGate } from './request-gate.ts';

/** What is used of a request of Fastify. */
export interface FastifyRequestLike {
  readonly raw: object;
}

/** What is used of a reply of Fastify. */
export interface FastifyReplyLike {
  readonly raw: ClosingResponse;
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(body: string): unknown;
}

/**
 * A hook for Fastify, for all routes or one: 429 with a problem document, or the header fields and the next hook.
 *
 * A policy that several hooks ask for the same id of one request is counted once. Errors of `check` are those of the
 * hook.
 * Slots of `concurrency()` are given back when the response has been sent, or the client has gone.
 *
 * @example
 * import { rateLimit } from '@cachekit/ratelimit/fastify';
 *
 * fastify.addHook('onRequest', rateLimit(limiter, { check: (request: FastifyRequest) => ({ ids: { api: [request.ip] } }) }));
 */
export function rateLimit<Name extends string, Req extends FastifyRequestLike>(
  limiter: RateLimiter<Name>,
  options: RateLimitOptions<Name, Req>,
): (request: Req, reply: FastifyReplyLike, done: (error?: Error) => void) => void {
  const gate = new RequestGate<Name, [Req]>('rateLimit', limiter, options);

  async function passes(request: Req, reply: FastifyReplyLike): Promise<boolean> {
    const checked = await gate.ask(request.raw, request);
    if (checked === undefined) return true;
    const { decision, release } = checked;
    if (release !== undefined) whenClosed(reply.raw, release);
    if (decision.allowed) {
      setHeaders(reply, gate.headers(request.raw, decision));
      return true;
    }
    const { status, headers, body } = gate.rejection(decision);
    reply.code(status);
    setHeaders(reply, headers);
    reply.send(body);
    return false;
  }

  // With a callback, because Fastify goes on after a promise while hooks of the answer are still at work on it.
  return (request, reply, done) => {
    passes(request, reply).then((pass) => {
      if (pass) done();
    }, done);
  };
}

function setHeaders(reply: FastifyReplyLike, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) reply.header(name, headers[name] as string);
}
