import type { RedisExecutor } from '@cachekit/core';
import { createLists, type Lists } from '@cachekit/redis';

/** What the tools of the assistant answered in a chat, for half an hour, whichever instance called them. */
export interface ToolResults {
  store(company: string, chat: number, tool: string, result: unknown): Promise<void>;
  last(company: string, chat: number, tool: string): Promise<unknown>;
}

export function toolResults(redis: RedisExecutor): ToolResults {
  const results: Lists<unknown> = createLists({ redis, ttl: '30m', length: 10 });
  const name = (chat: number, tool: string): readonly string[] => ['tool', String(chat), tool];
  return {
    store: (company, chat, tool, result) => results.append(company, name(chat, tool), result),
    last: async (company, chat, tool) => (await results.last(company, name(chat, tool)))?.value,
  };
}
