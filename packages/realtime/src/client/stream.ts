import { retryAfterMs } from './backoff.ts';
import { createSseParser, type SseEvent } from './sse-parse.ts';

/** Headers of a request, or a function that gives fresh ones for every attempt. */
export type HeadersSource =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>);

/** What a stream is opened with. */
export interface StreamAttempt {
  readonly url: string | URL;
  readonly headers: HeadersSource;
  readonly fetch: (url: string | URL, init: RequestInit) => Promise<Response>;
  /** The position of the last event received. */
  readonly lastEventId: string | undefined;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Bytes have come, whatever they say. */
  readonly heard: () => void;
  readonly receive: (event: SseEvent) => void;
}

/** How a stream ended; `floorMs` is what the server asked to wait. */
export interface StreamEnd {
  readonly outcome: 'failed' | 'refused';
  readonly floorMs: number;
  readonly error?: unknown;
}

/** Opens one stream and reads it to its end; never rejects. */
export async function readStream(attempt: StreamAttempt): Promise<StreamEnd> {
  try {
    const response = await request(attempt);
    const { status, body } = response;
    const isStream = response.headers.get('Content-Type')?.startsWith('text/event-stream') === true;
    if (status === 200 && isStream && body) {
      await read(body, attempt);
      return { outcome: 'failed', floorMs: 0 };
    }
    await body?.cancel().catch(() => {});
    return {
      outcome: status === 401 || status === 403 ? 'refused' : 'failed',
      floorMs: retryAfterMs(response.headers.get('Retry-After'), attempt.now()),
      error: new Error(`The event stream answered ${status}${status === 200 ? ' without a stream' : ''}`),
    };
  } catch (error) {
    return { outcome: 'failed', floorMs: 0, error };
  }
}

async function request({ url, headers, fetch, lastEventId, signal }: StreamAttempt): Promise<Response> {
  const given = typeof headers === 'function' ? await headers() : headers;
  signal.throwIfAborted();
  return fetch(url, {
    headers: {
      ...given,
      Accept: 'text/event-stream',
      ...(lastEventId !== undefined && { 'Last-Event-ID': lastEventId }),
    },
    cache: 'no-store',
    signal,
  });
}

async function read(
  body: ReadableStream<Uint8Array>,
  { signal, heard, receive }: StreamAttempt,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parse = createSseParser({
    event: (event) => {
      if (!signal.aborted) receive(event);
    },
    // How long to wait is decided here, with jitter.
    retry: () => {},
  });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      heard();
      parse(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
