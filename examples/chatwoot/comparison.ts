import type { SqlExecutor } from '@cachekit/core';

/** What an approach needs for a question, in milliseconds; `undefined` where it cannot answer. */
export interface ComparedApproach {
  readonly approach: string;
  readonly listMs: number | undefined;
  readonly oneMs: number | undefined;
  readonly monthMs: number | undefined;
}

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
 * The four approaches of the document, and the summary over the local table, on three questions: the 50 newest
 * conversations, one conversation with everything, and a month by day, inbox and status.
 */
export async function compareApproaches(
  remote: SqlExecutor,
  local: SqlExecutor,
  now: () => number,
): Promise<ComparedApproach[]> {
  const { rows } = await local.query<{ id: number }>('select max(id) / 2 as id from conversations_analytics');
  const id = Number(rows[0]?.id ?? 1);
  const one = (from: string): string => `select * from ${from} where id = ${id}`;
  const layered = `vw_conversation_metrics m join vw_conversations_base b on b.id = m.conversation_id
    left join vw_csat_base c on c.conversation_id = b.id`;
  const time = (sql: SqlExecutor, query: string): Promise<number> => median(sql, query, now);
  return [
    {
      approach: 'one giant view',
      listMs: await time(remote, list('vw_giant')),
      oneMs: await time(remote, one('vw_giant')),
      monthMs: await time(remote, byDay('vw_giant')),
    },
    {
      approach: 'layers',
      listMs: await time(remote, list('vw_conversations_base')),
      oneMs: await time(remote, one('vw_conversations_analytics')),
      monthMs: await time(remote, byDay(layered)),
    },
    {
      approach: 'materialized view',
      listMs: undefined,
      oneMs: undefined,
      monthMs: await time(remote, ready('mvw_daily_summary')),
    },
    {
      approach: 'local table',
      listMs: await time(local, list('conversations_analytics')),
      oneMs: await time(local, one('conversations_analytics')),
      monthMs: await time(local, byDay('conversations_analytics')),
    },
    {
      approach: 'local rollup',
      listMs: undefined,
      oneMs: undefined,
      monthMs: await time(local, ready('daily_summary')),
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
