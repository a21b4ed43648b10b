/** The part of a client of `@upstash/redis` that CacheKit uses. */
export interface UpstashLike {
  exec(command: [command: string, ...args: (string | number | boolean)[]]): Promise<unknown>;
}
