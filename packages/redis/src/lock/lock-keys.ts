import { escapePart, globalPrefix } from '@cachekit/core';

/** The keys of one lock, in the order in which its scripts take them: holders, queue, and what is known of both. */
export function lockKeys(namespace: string, key: string): readonly string[] {
  const prefix = `${globalPrefix(namespace, 'k')}{${escapePart(key)}}`;
  return [`${prefix}:holders`, `${prefix}:queue`, `${prefix}:meta`];
}

/** What the channel of every process that waits begins with; its name follows. */
export function wakeChannelPrefix(namespace: string): string {
  return `${namespace}:k:wake:`;
}
