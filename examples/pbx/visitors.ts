import type { Random } from './seed/random.ts';

interface VisitorsOptions {
  origin: string;
  /** Whose pages are read. */
  account: string;
  random: Random;
  /** Average time between two reads of all of them together. */
  readEveryMs?: number;
  onError: (error: unknown) => void;
}

const paths = ['/api/statistics', '/api/devices', '/api/campaigns', '/api/calls?limit=10'];

/** Plays the colleagues who look at the same account: without them nearly every read would be the first after a change. */
export function startVisitors({
  origin,
  account,
  random,
  readEveryMs = 60,
  onError,
}: VisitorsOptions): () => Promise<void> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const headers = { 'X-Account-Id': account };

  async function read(): Promise<void> {
    while (!signal.aborted) {
      const path = paths[Math.floor(paths.length * random())] ?? '';
      await fetch(origin + path, { headers, signal })
        .then((response) => response.arrayBuffer())
        .catch((error: unknown) => {
          if (!signal.aborted) onError(error);
        });
      await new Promise((resolve) => setTimeout(resolve, 2 * readEveryMs * random()));
    }
  }

  const done = read();
  return () => {
    leaving.abort();
    return done;
  };
}
