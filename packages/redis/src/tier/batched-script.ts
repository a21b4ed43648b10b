import type { RedisArgument, RedisExecutor, RedisScript } from '@cachekit/core';
import { replyError } from '../executors/reply-error.ts';
import { hashTag } from '../keys.ts';
import { refusedMark } from '../scripts/fragments.ts';
import { BatchedCalls } from './batched-calls.ts';

/** One request of a script that takes many. */
export interface ScriptItem {
  /** The entry. */
  readonly key: string;
  /** Those in the slot of the entry. */
  readonly tags: readonly string[];
  /** Two of them. Requests that follow each other with the same ones, and the same tags, send them once. */
  readonly settings: readonly [RedisArgument, RedisArgument];
  /** What is its own. */
  readonly own: string;
}

/** What the script answered to one request. */
export type ScriptReply = number | string;

/**
 * Makes calls of `script` that are collected over a tick. Where Redis refuses one request, that one alone fails.
 *
 * @param common - What every call takes: keys after those of the requests, arguments before theirs.
 * @param answers - What the replies of one call say to those who asked.
 */
export function batchedScript<Reply>(
  redis: RedisExecutor,
  script: RedisScript,
  common: { readonly keys: readonly string[]; readonly args: readonly RedisArgument[] },
  answers: (replies: readonly ScriptReply[]) => readonly (Reply | Error)[],
): BatchedCalls<ScriptItem, Reply> {
  return new BatchedCalls<ScriptItem, Reply>({
    ...(redis.capabilities.cluster ? { groupOf: ({ key }) => hashTag(key) } : {}),
    keysOf: (item) => 1 + item.tags.length,
    lengthOf: (item) => item.own.length,
    send: (items) => {
      const { keys, args } = scriptCall(items, common.args);
      for (const key of common.keys) keys.push(key);
      return redis.script(script, keys, args).then((replies) => answers(replies as readonly ScriptReply[]));
    },
  });
}

/** The failure that a reply tells of, if Redis refused the request. */
export function refusal(reply: ScriptReply): Error | undefined {
  return typeof reply === 'string' && reply.startsWith(refusedMark) ? replyError(reply.slice(1)) : undefined;
}

/** The keys and arguments of a script that goes through its requests by `luaEach`. */
function scriptCall(
  items: readonly ScriptItem[],
  before: readonly RedisArgument[],
): { readonly keys: string[]; readonly args: RedisArgument[] } {
  const keys: string[] = [];
  const args = [...before];
  for (const { key } of items) keys.push(key);
  // Most of them carry the same tags, and each is sent once.
  const places = new Map<string, number>();
  let run: ScriptItem | undefined;
  let countAt = 0;
  let count = 0;
  for (const item of items) {
    if (run === undefined || !alike(run, item)) {
      let where = '';
      for (const tag of item.tags) {
        let place = places.get(tag);
        if (place === undefined) {
          place = keys.push(tag);
          places.set(tag, place);
        }
        where += where === '' ? place : `,${place}`;
      }
      run = item;
      count = 0;
      countAt = args.push(0, where, item.settings[0], item.settings[1]) - 4;
    }
    args[countAt] = ++count;
    args.push(item.own);
  }
  return { keys, args };
}

function alike(one: ScriptItem, other: ScriptItem): boolean {
  const { tags, settings } = one;
  if (settings[0] !== other.settings[0] || settings[1] !== other.settings[1]) return false;
  if (tags === other.tags) return true;
  if (tags.length !== other.tags.length) return false;
  for (let index = 0; index < tags.length; index++) if (tags[index] !== other.tags[index]) return false;
  return true;
}
