/** The names an `@example` may take for granted, each the real thing: what a reader's application has anyway. */
import { type ChangeEvent, createCache, defineKeys, resource } from '@cachekit/core';
import { createListener, pgExecutor } from '@cachekit/core/postgres';
import { changed, createHub, createMemoryLog, defineEvents, on } from '@cachekit/realtime';
import { ioredisExecutor } from '@cachekit/redis';
import express from 'express';
import { Redis } from 'ioredis';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';

export { express, Kysely, PostgresDialect, pg, Redis };

export type Call = { id: string; device_id: string; status: string };
export type Device = { id: string; name: string };
export type Database = { calls: Call; devices: Device };

export const tenant = 'acme';
export const userId = '7';
export const deviceId = '1';

const connectionString = process.env.DATABASE_URL;
export const pool: pg.Pool = new pg.Pool({ connectionString });
export const sql = pgExecutor(pool);
export const listener = createListener({ connect: () => new pg.Client({ connectionString }) });
export const redis = ioredisExecutor(new Redis(process.env.REDIS_URL ?? '', { lazyConnect: true }));

export const cache = createCache();
export const keys = defineKeys({
  scope: 'tenant',
  resources: {
    devices: resource<Device[]>({ ttl: '5m', tags: ['devices'] }),
    recentCalls: resource<Call[], { limit: number }>({ ttl: '1m', tags: ['calls'] }),
  },
});

export async function loadDevices(_tenant: string, _signal?: AbortSignal): Promise<Device[]> {
  return [{ id: '1', name: 'Desk 1' }];
}

export function tagsOf(change: ChangeEvent) {
  return change.tenant ? [keys.tag(change.tenant, change.table)] : [];
}

export const hub = createHub({ log: createMemoryLog() });
export const events = defineEvents({
  'call.created': on('calls', 'insert', ({ key }) => ({ id: key.id })),
  'call.status-changed': on('calls', 'update', changed('status'), ({ key, new: call }) => ({
    id: key.id,
    to: call.status,
  })),
});
export const { derive } = events;
