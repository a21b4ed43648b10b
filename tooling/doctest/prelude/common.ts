/** The names an `@example` may take for granted, each the real thing: what a reader's application has anyway. */
import { pgExecutor } from '@cachekit/core/postgres';
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

export const pool: pg.Pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
export const sql = pgExecutor(pool);
export const redis = ioredisExecutor(new Redis(process.env.REDIS_URL ?? '', { lazyConnect: true }));
