import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  stayAwake,
  systemClock,
} from '@cachekit/core';
import { parseRateLimit, parseRetryAfter } from '../http/rate-limit-fields.ts';

/** What {@link rateLimitedFetch} takes. */
export interface RateLimitedFetchOptions {
  /** @defaultValue that of the platform */
  fetch?: (request: Request) => Promise<Response>;
  /**
   * The longest a request is held back, all in all; a server that asks for more gets no request, and the caller the
   * response that said so, or its status and `Retry-After` alone if that was the answer to another request.
   * @defaultValue `'30s'`
   */
  maxWait?: Duration;
  /** @defaultValue the clock of the machine */
  clock?: Clock;
  /** Between 0 and 1; spreads requests that wait for the same instant. */
  random?: () => number;
}

/** That an origin wants to be left alone. */
interface Quiet {
  readonly waitMs: number;
  until: number;
  /** Of the refusal that said so; absent if the request was served. */
  readonly status: number | undefined;
}

/** Up to this share of the wait is added, so that clients do not come back in step. */
const spread = 0.1;
/** The least wait before a request is repeated; twice as long each time. A server may say "now" as often as it likes. */
const leastPauseMs = 100;
const mostOrigins = 1_000;

/**
 * Makes a `fetch` that does what servers ask: it waits while `RateLimit` says that nothing is left, and repeats a request
 * that was answered with 429 or 503 after its `Retry-After`, and not before 100 ms, then 200, 400 and so on.
 *
 * A request is repeated only if the server said when, so none that it did not refuse; its body is sent again. What one
 * response said holds for its origin. Fields of a response that comes from a cache (`Age` above 0), and malformed
 * ones, say nothing. An aborted request rejects at once with the reason of its signal.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an option that is none.
 * @see draft-ietf-httpapi-ratelimit-headers-11, RFC 9110 section 10.2.3, RFC 6585 section 4
 * @example
 * const politeFetch = rateLimitedFetch({ maxWait: '10s' });
 * const send = () => politeFetch('https://api.example.com/orders');
 */
export function rateLimitedFetch(
  options: RateLimitedFetchOptions = {},
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  assertKnownOptions('rateLimitedFetch', options, ['fetch', 'maxWait', 'clock', 'random']);
  const { clock = systemClock, random = () => Math.random() } = options;
  const send = options.fetch ?? ((request: Request) => fetch(request));
  if (typeof send !== 'function') throw new ConfigurationError('rateLimitedFetch: fetch: give a function');
  const maxWaitMs = durationMs(options.maxWait ?? '30s', 'rateLimitedFetch: maxWait');
  const quiet = new Map<string, Quiet>();

  function learn(origin: string, response: Response): number | undefined {
    if (Number(response.headers.get('Age') ?? 0) > 0) return undefined;
    const now = clock.now();
    const refused = response.status === 429 || response.status === 503;
    const retryMs = refused ? parseRetryAfter(response.headers.get('Retry-After'), now) : undefined;
    let waitMs = retryMs ?? 0;
    for (const { remaining, seconds } of parseRateLimit(response.headers.get('RateLimit'))) {
      if (remaining === 0 && seconds !== undefined) waitMs = Math.max(waitMs, seconds * 1_000);
    }
    if (waitMs > 0) {
      quiet.delete(origin);
      if (quiet.size >= mostOrigins) quiet.clear();
      quiet.set(origin, { waitMs, until: now + waitMs, status: refused ? response.status : undefined });
    } else if (!refused) quiet.delete(origin);
    return retryMs;
  }

  function quietMs(origin: string): number {
    const found = quiet.get(origin);
    if (found === undefined) return 0;
    const now = clock.now();
    // Of a time of day that was set back since, it would last for as long as the clock was ahead.
    found.until = Math.min(found.until, now + found.waitMs);
    return found.until - now;
  }

  /** What the origin said to somebody else, if that was a refusal. */
  function knownRefusal(origin: string): Response | undefined {
    const status = quiet.get(origin)?.status;
    if (status === undefined) return undefined;
    return new Response(null, {
      status,
      headers: { 'Retry-After': String(Math.ceil(quietMs(origin) / 1_000)) },
    });
  }

  return async (input, init) => {
    const request = new Request(input, init);
    const { origin } = new URL(request.url);
    let leftMs = maxWaitMs;
    let pauseMs = 0;
    /** Waits for so long, or says that it would take too long. */
    const waitFor = async (ms: number): Promise<boolean> => {
      if (ms <= 0) return true;
      if (ms > leftMs) return false;
      const withSpread = Math.min(leftMs, ms * (1 + spread * random()));
      leftMs -= withSpread;
      await sleep(withSpread, clock, request.signal);
      return true;
    };
    for (let last: Response | undefined; ; ) {
      if (!(await waitFor(Math.max(pauseMs, quietMs(origin))))) {
        const refusal = last ?? knownRefusal(origin);
        if (refusal !== undefined) return refusal;
      }
      // What nobody reads holds a connection, if that is not lost already.
      await last?.body?.cancel().catch(() => {});
      const response = await send(request.clone());
      if (learn(origin, response) === undefined) return response;
      if (quietMs(origin) > leftMs || leftMs <= 0) return response;
      last = response;
      pauseMs = Math.max(leastPauseMs, 2 * pauseMs);
    }
  };
}

function sleep(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  // The process lives as long as somebody waits.
  const rest = stayAwake();
  const slept = new Promise<void>((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = (): void => {
      clock.clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = clock.setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
  return slept.finally(rest);
}
