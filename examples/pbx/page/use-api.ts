import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { useLive } from './live.tsx';

/** An answer with where it came from, so that the page can say so. */
export interface Answer<T> {
  body: T;
  /** `HIT`, `MISS` or `STALE`, as the server's cache says. */
  cache: string;
  tookMs: number;
  receivedAt: number;
}

interface ApiOptions {
  /** For what no event tells of: fetched again after this time. */
  everyMs?: number;
  /** Whether the part is at work at all. */
  enabled?: boolean;
}

/** Reads one resource of the account; the realtime binding decides when it is fetched again. */
export function useApi<T>(
  resource: string,
  path: string,
  { everyMs, enabled = true }: ApiOptions = {},
): UseQueryResult<Answer<T>> {
  const { account, requestInit } = useLive();
  const queryKey = [account, resource];
  return useQuery({
    queryKey,
    enabled: enabled && account !== '',
    refetchInterval: everyMs ?? false,
    queryFn: ({ signal }) => getJson<T>(path, account, { ...requestInit(queryKey), signal }),
  });
}

export async function getJson<T>(path: string, account: string, init: RequestInit = {}): Promise<Answer<T>> {
  const startedAt = performance.now();
  const headers = new Headers(init.headers);
  if (account !== '') headers.set('X-Account-Id', account);
  const response = await fetch(path, { ...init, headers });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  const body = (await response.json()) as T;
  return {
    body,
    cache: response.headers.get('X-Cache') ?? '',
    tookMs: performance.now() - startedAt,
    receivedAt: Date.now(),
  };
}
