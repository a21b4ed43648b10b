export { type CreateDatabaseOptions, createDatabase, type FreshDatabase } from './fresh-database.ts';
export type { Link } from './link.ts';
export { type Attempt, MissingServiceError } from './missing-service.ts';
export { type StartPostgresOptions, startPostgres } from './postgres.ts';
export type { PostgresServer } from './postgres-server.ts';
export { type StartRedisOptions, startRedis } from './redis.ts';
export type { RedisServer } from './redis-server.ts';
