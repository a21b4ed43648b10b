import { useQuery } from '@tanstack/react-query';
import type { Parts } from './api.ts';
import { getJson } from './use-api.ts';

/** Whether the parts that need Redis are at work; nothing while that is not known. */
export function useShared(): boolean | undefined {
  const { data } = useQuery({
    queryKey: ['parts'],
    queryFn: () => getJson<Parts>('/api/parts', ''),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return data?.body.redis;
}
