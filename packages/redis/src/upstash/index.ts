export { type UpstashExecutorOptions, upstashExecutor } from '../executors/upstash.ts';
export type { UpstashLike } from '../executors/upstash-like.ts';
