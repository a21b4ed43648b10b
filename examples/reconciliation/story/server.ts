import { type Running, run } from '../run.ts';
import type { WiringOptions } from '../wiring.ts';

/** What a server answered, and what it cost. */
export interface Answer {
  readonly status: number;
  /** `X-Cache`; empty where there is none. */
  readonly cache: string;
  readonly headers: Headers;
  // Each route has a body of its own.
  readonly body: unknown;
  /** Statements that were sent to PostgreSQL meanwhile. */
  readonly statements: number;
  readonly tookMs: number;
}

/** A request; a `GET` if it has no body. */
export interface Question {
  readonly tenant?: string;
  readonly body?: unknown;
  /** By which the answer may be nothing older. */
  readonly clock?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server of the application that is asked over HTTP, as a browser would. */
export interface StoryServer extends Running {
  ask(path: string, question?: Question): Promise<Answer>;
}

/** Starts a server. Troubles are the caller's to look at. */
export async function startServer(
  options: Omit<WiringOptions, 'onTrouble'> & Partial<Pick<WiringOptions, 'onTrouble'>>,
): Promise<StoryServer> {
  let sent = 0;
  const running = await run({
    onTrouble: () => {},
    ...options,
    onStatement(statement) {
      sent++;
      options.onStatement?.(statement);
    },
  });
  return {
    ...running,
    async ask(path, { tenant = 't1', body, clock, headers = {} } = {}) {
      const sentBefore = sent;
      const startedAt = performance.now();
      const response = await fetch(running.origin + path, {
        headers: { 'X-Tenant-Id': tenant, ...(clock && { 'X-CacheKit-Clock': clock }), ...headers },
        ...(body !== undefined && {
          method: 'POST',
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      });
      const text = await response.text();
      return {
        status: response.status,
        cache: response.headers.get('X-Cache') ?? '',
        headers: response.headers,
        body: text === '' ? undefined : JSON.parse(text),
        statements: sent - sentBefore,
        tookMs: performance.now() - startedAt,
      };
    },
  };
}

/**
 * Reads until the answer comes from the cache. A server that has just begun, or whose Redis has, connects meanwhile, and nobody
 * waits for that: it answers from the database.
 */
export async function untilHit(server: StoryServer, path: string, tenant: string): Promise<Answer> {
  const startedAt = performance.now();
  for (;;) {
    const answer = await server.ask(path, { tenant });
    if (answer.cache === 'HIT') return answer;
    if (performance.now() - startedAt > 30_000) throw new Error(`Nothing is cached of ${path}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
