export type { Depth } from './compare.ts';
export { copyingExecutor, type PgCopyPoolLike } from './copying-executor.ts';
export type { EtlDefinition, EtlSource } from './definition.ts';
export { RemoteSchemaDriftError } from './errors.ts';
export {
  createEtl,
  type Etl,
  type EtlComparison,
  type EtlOptions,
  type EtlResult,
} from './etl.ts';
export type { EtlEvents, EtlRisk, EtlRun } from './events.ts';
export type { EtlStatus } from './status.ts';
