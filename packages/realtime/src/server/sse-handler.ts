import { assertKnownOptions, ConfigurationError, isCacheKitError } from '@cachekit/core';
import type { StreamSink } from '../hub/connection.ts';
import type { Hub } from '../hub/hub.ts';
import type { HubStream } from '../hub/streams.ts';

/** Who a request comes from. */
export interface StreamIdentity {
  /** Whose events the stream carries. It comes from your authentication, never from the address. */
  readonly tenant: string;
  /** When the authentication ends, milliseconds since the epoch: the stream is ended then. `NaN` is refused. */
  readonly expiresAt?: number;
}

/** Options of {@link sseHandler}. */
export interface SseHandlerOptions {
  /** `undefined` answers 401. What it throws, and an `ArgumentError` for what is no tenant or no time, passes to the caller of the handler. */
  readonly authenticate: (
    request: Request,
  ) => StreamIdentity | undefined | Promise<StreamIdentity | undefined>;
}

/** Header in which a first response says from which position a stream must start to miss nothing. */
export const positionHeader = 'X-CacheKit-Pos';

const streamHeaders = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  // nginx holds a response back until its buffer is full unless told not to.
  'X-Accel-Buffering': 'no',
} as const;

/**
 * Serves the events of the authenticated tenant as Server-Sent Events: a fetch-style handler for Hono, Next.js,
 * Deno, Bun or any server with an adapter.
 *
 * A `Last-Event-ID` header (or, for the first request of a native `EventSource`, the query parameter `lastEventId`)
 * resumes the stream: what was missed comes first, then live events, without a hole and without a repetition, or a
 * `ck.gap` says that this cannot be. The header is untrusted: the position of another tenant is a gap.
 *
 * | status | when                                                                  |
 * | ------ | --------------------------------------------------------------------- |
 * | 200    | the stream                                                            |
 * | 401    | `authenticate` gave nothing                                           |
 * | 405    | not a GET                                                             |
 * | 503    | a limit is reached, the log cannot be reached, or the hub is closing; with a `Retry-After` that differs per request |
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` without `authenticate` or for an unknown option.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 * @example
 * const events = sseHandler(hub, {
 *   authenticate: async (request) => {
 *     const user = await userOf(request.headers.get('Authorization'));
 *     return user && { tenant: user.account };
 *   },
 * });
 * app.get('/api/events', (context) => events(context.req.raw));
 */
export function sseHandler(
  hub: Pick<Hub, 'connect' | 'queueBytes'>,
  options: SseHandlerOptions,
): (request: Request) => Promise<Response> {
  assertKnownOptions('sseHandler', options, ['authenticate']);
  const { authenticate } = options;
  if (typeof authenticate !== 'function') {
    throw new ConfigurationError('sseHandler: authenticate is a function that gives the tenant of a request');
  }

  return async (request) => {
    if (request.method !== 'GET') return answer(405, { Allow: 'GET' });
    const identity = await authenticate(request);
    if (!identity) return answer(401, {});
    const { body, sink, opened, left } = sseBody(hub.queueBytes);
    const admission = await hub.connect({
      tenant: identity.tenant,
      expiresAt: identity.expiresAt,
      lastEventId: lastEventIdOf(request),
      sink,
    });
    if (admission.state === 'refused') {
      return answer(503, { 'Retry-After': String(Math.ceil(admission.retryAfterMs / 1_000)) });
    }
    const { stream } = admission;
    opened(stream);
    const { signal } = request;
    if (signal.aborted) left();
    else signal.addEventListener('abort', left, { once: true });
    return new Response(body, { status: 200, headers: streamHeaders });
  };
}

/**
 * Answers with what `respond` gives, plus the position the tenant's log was at before it began.
 *
 * A stream that starts from that position misses nothing that happened since the data was read; give the header to
 * `createRealtimeClient` as `position`. What is read by way of a cache is as new as the memory of this process.
 *
 * While the log cannot be reached the answer has no position; a client without one hears of a gap when its stream begins.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for a tenant that is none. What `respond` throws passes.
 * @example
 * app.get('/api/calls', (context) => withPosition(hub, tenantOf(context), async () => Response.json(await calls())));
 */
export async function withPosition(
  hub: Pick<Hub, 'position'>,
  tenant: string,
  respond: () => Response | Promise<Response>,
): Promise<Response> {
  const position = await hub.position(tenant).catch((error: unknown) => {
    if (isCacheKitError(error, 'INVALID_ARGUMENT')) throw error;
    return undefined;
  });
  const response = await respond();
  if (position === undefined) return response;
  const headers = new Headers(response.headers);
  headers.set(positionHeader, position);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** A native `EventSource` repeats the address it was made with, so the header is the newer of the two. */
function lastEventIdOf(request: Request): string | undefined {
  const header = request.headers.get('Last-Event-ID');
  if (header !== null) return header;
  return new URL(request.url, 'http://localhost').searchParams.get('lastEventId') ?? undefined;
}

function answer(status: number, headers: Record<string, string>): Response {
  return new Response(null, { status, headers: { 'Cache-Control': 'no-store', ...headers } });
}

interface SseBody {
  readonly body: ReadableStream<Uint8Array>;
  readonly sink: StreamSink;
  readonly opened: (stream: HubStream) => void;
  /** The consumer is gone. */
  readonly left: () => void;
}

/**
 * A body whose queue is counted in bytes. It is no byte stream: that would detach the chunks, which all streams of a
 * tenant share.
 */
function sseBody(queueBytes: number): SseBody {
  let stream: HubStream | undefined;
  let ended = false;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull() {
        stream?.drained();
      },
      cancel() {
        ended = true;
        stream?.close();
      },
    },
    { highWaterMark: queueBytes, size: (chunk) => chunk.byteLength },
  );
  const sink: StreamSink = {
    write(chunk) {
      if (!ended) controller?.enqueue(chunk);
    },
    get room() {
      return ended ? 0 : (controller?.desiredSize ?? 0);
    },
    end() {
      if (ended) return;
      ended = true;
      controller?.close();
    },
    abort() {
      if (ended) return;
      ended = true;
      controller?.error(new Error('The stream was cut'));
      stream?.close();
    },
  };
  return {
    body,
    sink,
    opened(given) {
      stream = given;
    },
    left() {
      sink.end();
      stream?.close();
    },
  };
}
