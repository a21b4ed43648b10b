import type { RedisArgument, RedisExecutor, RedisScript } from '@cachekit/core';
import { replyError } from '../executors/reply-error.ts';
import { hashTag } from '../keys.ts';
import { BatchedCalls } from './batched-calls.ts';

/** One request of a script that takes many. */
export interface ScriptItem {
  /** The entry. */
  readonly key: string;
  /** Those in the slot of the entry. */
  readonly tags: readonly string[];
  readonly args: readonly RedisArgument[];
  /** Characters of its payload. */
  readonly length: number;
}

/** What the script answered to one request: an outcome, and what goes with it. */
export type ScriptReply = readonly [outcome: number, detail?: number | string];

/** The outcome of a request that Redis refused, such as a write while its memory is full. */
const failed = 3;

/**
 * Makes calls of `script` that are collected over a tick. Where Redis refuses one request, that call alone rejects.
 *
 * @param common - What every call takes: keys after those of the requests, arguments before theirs.
 * @param answered - Hears the replies of a call before those who asked.
 */
export function batchedScript(
  redis: RedisExecutor,
  script: RedisScript,
  common: { readonly keys?: readonly string[]; readonly args?: readonly RedisArgument[] } = {},
  answered?: (replies: readonly ScriptReply[]) => void,
): (item: ScriptItem) => Promise<ScriptReply> {
  const { cluster } = redis.capabilities;
  const calls = new BatchedCalls<ScriptItem, ScriptReply>({
    groupOf: (item) => (cluster ? hashTag(item.key) : ''),
    keysOf: (item) => 1 + item.tags.length,
    lengthOf: (item) => item.length,
    send: async (items) => {
      const keys = items.map(({ key }) => key);
      const args = [...(common.args ?? [])];
      // Most of them carry the same tags, and each is sent once.
      const places = new Map<string, number>();
      for (const item of items) {
        let where = '';
        for (const tag of item.tags) {
          let place = places.get(tag);
          if (place === undefined) {
            place = keys.push(tag);
            places.set(tag, place);
          }
          where = where === '' ? `${place}` : `${where},${place}`;
        }
        args.push(where);
        for (const arg of item.args) args.push(arg);
      }
      if (common.keys !== undefined) keys.push(...common.keys);
      const replies = (await redis.script(script, keys, args)) as readonly ScriptReply[];
      answered?.(replies);
      return replies;
    },
    failureOf: ([outcome, detail]) => (outcome === failed ? replyError(String(detail)) : undefined),
  });
  return (item) => calls.call(item);
}
