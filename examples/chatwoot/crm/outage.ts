import type { SqlExecutor } from '@cachekit/core';
import { allUp, type Scene } from './instances.ts';
import { plainReads } from './reads.ts';
import { pageOf, promptOf, type Replayed, replay } from './replay.ts';
import { timeUntil } from './time-until.ts';
import type { Chat, Second } from './trace.ts';
import type { Crm } from './wiring.ts';

/** What came of a trace in the middle of which Redis died. */
export interface Outage {
  readonly played: Replayed;
  /** Of those, after Redis was gone. */
  readonly readsWithout: number;
  /** From the end of the trace until every instance had every history as the database has it, still without Redis. */
  readonly rightAfterMs: number;
  /** From the return of Redis until it had heard of all that was written meanwhile. */
  readonly repairedAfterMs: number;
  /** Histories that were not those of the database then. */
  readonly wrong: number;
}

/** Whether everything was answered, and nobody was misled. */
export function survived({ played, wrong }: Outage): boolean {
  return played.failed + played.old + wrong === 0;
}

/** What is to be done to Redis. */
export interface Mortal {
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** Plays the trace on the instances, of which the second half without Redis. */
export async function playOutage(
  { crms, heard, chatwoot }: Omit<Scene, 'chats'>,
  trace: readonly Second[],
  redis: Mortal,
): Promise<Outage> {
  let killing: Promise<void> | undefined;
  let readsWith = 0;
  const played = await replay(trace, {
    reads: crms.map(({ reads }) => reads),
    chatwoot,
    heard,
    onSecond: (second, { reads }) => {
      if (second !== Math.floor(trace.length / 2)) return;
      readsWith = reads;
      // Not waited for: it dies while it is being asked.
      killing = redis.kill();
    },
  });
  await killing;
  const chats = [
    ...new Set(trace.flatMap(({ incoming, pages }) => [...incoming, ...pages.map(({ chat }) => chat)])),
  ];
  const wrong = () => wrongHistories(chatwoot, crms, chats);
  const rightAfterMs = await timeUntil(async () => (await wrong()) === 0);
  await redis.restart();
  const repairedAfterMs = await timeUntil(() => allUp(crms));
  return {
    played,
    readsWithout: played.reads - readsWith,
    rightAfterMs,
    repairedAfterMs,
    wrong: await wrong(),
  };
}

/** How many histories an instance has otherwise than the database. */
async function wrongHistories(
  chatwoot: SqlExecutor,
  crms: readonly Crm[],
  chats: readonly Chat[],
): Promise<number> {
  const plain = plainReads(chatwoot);
  const same = await Promise.all(
    chats.flatMap((chat) =>
      [promptOf(chat), pageOf(chat)].map(async (of) => {
        const right = JSON.stringify(await plain.history(chat.company, of));
        const cached = await Promise.all(crms.map(({ reads }) => reads.history(chat.company, of)));
        return cached.filter((history) => JSON.stringify(history) !== right).length;
      }),
    ),
  );
  return same.reduce((sum, wrong) => sum + wrong, 0);
}
