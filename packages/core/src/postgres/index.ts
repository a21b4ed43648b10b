export { installCoreSchema, lockMigrations } from './core-schema.ts';
export { type Fence, fencedTransaction, installFences } from './fence.ts';
export {
  type KyselyCompiledQueryLike,
  type KyselyLike,
  type KyselyResultLike,
  type KyselyTransactionLike,
  kyselyExecutor,
} from './kysely-executor.ts';
export {
  createListener,
  type ListenerOptions,
  type PgListenClientLike,
  type PgListener,
} from './listener.ts';
export { installOutbox, type OutboxRetention, outboxTable, pruneOutbox } from './outbox.ts';
export { type OutboxSourceOptions, outboxSource } from './outbox-source.ts';
export { type PgClientLike, pgClientExecutor } from './pg-client-executor.ts';
export { type PgPoolClientLike, type PgPoolLike, type PgResultLike, pgExecutor } from './pg-executor.ts';
export {
  type PgliteLike,
  type PgliteResultLike,
  type PgliteTransactionLike,
  pgliteExecutor,
} from './pglite-executor.ts';
export {
  parseQualifiedName,
  type QualifiedName,
  quoteIdentifier,
  quoteLiteral,
  quoteQualified,
} from './quote.ts';
export {
  type PoolGaugesLike,
  type PoolPressure,
  poolPressure,
  type SharedPoolLike,
  sharedPool,
} from './shared-pool.ts';
export { armingHorizonSql, armSql, disarmSql, wakeChannel, wakeSql } from './wake.ts';
