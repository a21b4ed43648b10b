import type { RedisExecutor } from '@cachekit/core';

/** What `INFO` says, by field. */
export type Info = ReadonlyMap<string, string>;

/** Of every master of a cluster, else of the one server. */
export async function readInfo(redis: RedisExecutor): Promise<readonly Info[]> {
  const replies = (await redis.commandOnMasters?.('INFO')) ?? [await redis.command('INFO')];
  return replies.map(parseInfo);
}

/** The lines `name:value` of what `INFO` answers. */
export function parseInfo(reply: unknown): Info {
  const fields = new Map<string, string>();
  for (const line of String(reply).split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** A field as a number; `NaN` if there is none. */
export function numberOf(fields: Info, name: string): number {
  const text = fields.get(name) ?? '';
  return text === '' ? Number.NaN : Number(text);
}
