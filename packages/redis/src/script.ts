import type { RedisScript } from '@cachekit/core';

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
