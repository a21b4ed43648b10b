import { tableLines, timeText } from '../../table.ts';
import type { Outage } from '../outage.ts';
import { keepsPromise, promised, type Saving } from '../saving.ts';
import { printTable } from './scene.ts';

/** The trace with and without a cache, and each key space by itself. */
export function showSaving(saving: Saving, seconds: number): void {
  const { without, with: cached, savedPercent, hitRate } = saving;
  printTable(
    `${seconds} seconds of a morning, from an empty cache: ${without.reads} reads, ${without.messages} messages`,
    ['', 'without a cache', 'with it'],
    [
      ['queries of those reads', String(without.queries), String(cached.queries)],
      ['statements to hear of changes', '-', String(cached.following)],
      ['reads that failed', String(without.failed), String(cached.failed)],
      ['replies of the assistant that missed the message', String(without.old), String(cached.old)],
    ],
  );
  const asked = [...cached.resources].filter(([, { totalRequests }]) => totalRequests > 0);
  const rows = asked.map(([resource, one]) => [
    resource,
    one.ttlMs === undefined ? '-' : `${one.ttlMs / 60_000} min`,
    String(one.totalRequests),
    String(one.memoryHits),
    String(one.remoteHits),
    String(one.misses),
    `${one.hitRate.toFixed(1)} %`,
  ]);
  console.log();
  console.log(
    tableLines(
      ['key space', 'fresh for', 'requests', 'in memory', 'from Redis', 'loaded', 'hit rate'],
      rows,
    ).join('\n'),
  );
  console.log(
    `\n${savedPercent.toFixed(1)} % fewer queries, hit rate ${hitRate.toFixed(1)} %: the promise of ${promised.savedPercent} % and` +
      ` ${promised.hitRate} % is ${keepsPromise(saving) ? 'kept' : 'BROKEN'}.`,
  );
}

/** The same trace, of which Redis saw the first half. */
export function showOutage({ played, readsWithout, rightAfterMs, repairedAfterMs, wrong }: Outage): void {
  printTable(
    'The same again, and in the middle Redis is killed',
    ['what', 'measured'],
    [
      ['reads', String(played.reads)],
      ['reads without Redis', String(readsWithout)],
      ['reads that failed', String(played.failed)],
      ['the slowest read', timeText(played.slowestMs)],
      ['replies of the assistant that missed the message', String(played.old)],
      ['every history as in the database, still without Redis', `after ${timeText(rightAfterMs)}`],
      ['Redis is back and has heard of everything', `after ${timeText(repairedAfterMs)}`],
      ['histories otherwise than in the database then', String(wrong)],
    ],
  );
}
