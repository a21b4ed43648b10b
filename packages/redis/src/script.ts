import type { RedisArgument, RedisExecutor, RedisScript } from '@cachekit/core';

/** A script, with the type of what it returns. */
export interface TypedScript<Reply> extends RedisScript {
  /** Never there: only carries the type. */
  readonly reply?: Reply;
}

/** Runs a script. What it returns has the type that it declares. */
export function runScript<Reply>(
  redis: RedisExecutor,
  script: TypedScript<Reply>,
  keys: readonly string[],
  args: readonly RedisArgument[],
): Promise<Reply> {
  return redis.script(script, keys, args) as Promise<Reply>;
}

const digests = new WeakMap<RedisScript, string>();

/** The name by which the server knows a script, if it has been computed in this process. */
export function knownDigest(script: RedisScript): string | undefined {
  return digests.get(script);
}

/** The name by which the server knows a script: the SHA-1 of its text in hexadecimal. */
export async function digestOf(script: RedisScript): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(script.lua));
  const digest = Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
  digests.set(script, digest);
  return digest;
}
