export type { Depth } from './compare.ts';
export { copyingExecutor, type PgCopyPoolLike } from './copying-executor.ts';
export { createEtl } from './create-etl.ts';
export type { EtlDefinition, EtlSource } from './definition.ts';
export { RemoteSchemaDriftError } from './errors.ts';
export type { Etl, EtlComparison, EtlOptions, EtlResult } from './etl.ts';
export type { EtlEvents, EtlGap, EtlRisk, EtlRun } from './events.ts';
export type { EtlSlot, EtlStatus } from './status.ts';
