/** The names an `@example` of `@cachekit/realtime` may take for granted. */
import type { EventsOf } from '@cachekit/realtime';
import { createRealtimeClient } from '@cachekit/realtime/client';
import { QueryClient } from '@tanstack/query-core';
import { type Context, Hono } from 'hono';
import type { Call, events } from './common.ts';

export const app = new Hono();
export const url = process.env.REDIS_URL ?? '';

export async function userOf(authorization: string | null): Promise<{ account: string } | undefined> {
  return authorization === null ? undefined : { account: 'acme' };
}

export function tenantOf(context: Context): string {
  return context.req.header('x-tenant') ?? 'acme';
}

export async function calls(): Promise<Call[]> {
  return [];
}

export async function token(): Promise<string> {
  return 'token';
}

export function show(_id: unknown): void {}
export function reloadEverything(): void {}

export const client = createRealtimeClient<EventsOf<typeof events>>({ url: 'http://127.0.0.1:1/api/events' });
export const queryClient = new QueryClient();
