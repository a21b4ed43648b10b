import type { SqlExecutor } from '@cachekit/core';
import { messageArrives } from './changes.sql.ts';
import type { Analytics } from './run.ts';
import { localSummary } from './views.ts';

/** What an approach needs for a question, in milliseconds; `undefined` where it cannot answer. */
export interface ComparedApproach {
  readonly approach: string;
  readonly listMs: number | undefined;
  readonly oneMs: number | undefined;
  readonly monthMs: number | undefined;
  /** From a message that is committed to an answer with it; 0 where every answer is. */
  readonly freshMs: number;
}

/** The questions, in the order of the document. */
export const questions = [
  { title: '50 newest', of: 'listMs' },
  { title: 'one conversation', of: 'oneMs' },
  { title: 'a month by day', of: 'monthMs' },
  { title: 'until a message is in it', of: 'freshMs' },
] as const;

/** Runs of one question: at most so many, and no further one after so long. */
const mostRuns = 7;
const longestMs = 3_000;

const byDay = (
  from: string,
): string => `select conversation_date, inbox_id, status, count(*), avg(first_response_seconds), avg(rating)
  from ${from} where conversation_date > date '2026-06-01' group by 1, 2, 3`;
const ready = (from: string): string => `select * from ${from} where conversation_date > date '2026-06-01'`;
const list = (from: string): string =>
  `select id, status, contact_name, created_at from ${from} order by created_at desc limit 50`;

/**
 * The four approaches of the document, and the summary over the local table: the 50 newest conversations, one conversation
 * with everything, a month by day, inbox and status; and how long a message takes to be in the answer.
 */
export async function compareApproaches(
  remote: SqlExecutor,
  local: SqlExecutor,
  { etl, summary }: Analytics,
  now: () => number,
): Promise<ComparedApproach[]> {
  const { rows } = await local.query<{ id: number }>('select max(id) / 2 as id from conversations_analytics');
  const id = Number(rows[0]?.id ?? 1);
  const one = (from: string): string => `select * from ${from} where id = ${id}`;
  const layered = `vw_conversation_metrics m join vw_conversations_base b on b.id = m.conversation_id
    left join vw_csat_base c on c.conversation_id = b.id`;
  const time = (sql: SqlExecutor, query: string): Promise<number> => median(sql, query, now);
  await remote.query(messageArrives);
  const began = now();
  await etl.run();
  const copied = now();
  await summary.waitFresh(localSummary.name);
  const summed = now();
  return [
    {
      approach: 'one giant view',
      listMs: await time(remote, list('vw_giant')),
      oneMs: await time(remote, one('vw_giant')),
      monthMs: await time(remote, byDay('vw_giant')),
      freshMs: 0,
    },
    {
      approach: 'layers',
      listMs: await time(remote, list('vw_conversations_base')),
      oneMs: await time(remote, one('vw_conversations_analytics')),
      monthMs: await time(remote, byDay(layered)),
      freshMs: 0,
    },
    {
      approach: 'materialized view',
      listMs: undefined,
      oneMs: undefined,
      monthMs: await time(remote, ready('mvw_daily_summary')),
      freshMs: await time(remote, 'refresh materialized view concurrently mvw_daily_summary'),
    },
    {
      approach: 'local table',
      listMs: await time(local, list('conversations_analytics')),
      oneMs: await time(local, one('conversations_analytics')),
      monthMs: await time(local, byDay('conversations_analytics')),
      freshMs: copied - began,
    },
    {
      approach: 'local rollup',
      listMs: undefined,
      oneMs: undefined,
      monthMs: await time(local, ready('daily_summary')),
      freshMs: summed - began,
    },
  ];
}

async function median(sql: SqlExecutor, query: string, now: () => number): Promise<number> {
  const times: number[] = [];
  let spent = 0;
  for (let run = 0; run < mostRuns && spent < longestMs; run++) {
    const began = now();
    await sql.query(query);
    times.push(now() - began);
    spent += now() - began;
  }
  // The first run also pays for cold pages, so it counts only where it is the only one.
  const counted = times.length > 1 ? times.slice(1) : times;
  return counted.sort((a, b) => a - b)[Math.floor(counted.length / 2)] ?? 0;
}
