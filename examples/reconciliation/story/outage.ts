import type { RedisServer } from '@cachekit/services';
import type { PretendBank } from '../doubles/bank.ts';
import { type Answer, type StoryServer, untilHit } from './server.ts';
import type { Table } from './table.ts';

/** Takes Redis away, syncs all the same, and brings it back. */
export async function outage(
  redis: Pick<RedisServer, 'kill' | 'restart'>,
  one: StoryServer,
  bank: PretendBank,
): Promise<Table> {
  const rows: string[][] = [];
  const tell = (redisIs: string, what: string, { status, cache, statements, tookMs }: Answer): void => {
    rows.push([redisIs, what, `${status} ${cache}`.trim(), String(statements), `${tookMs.toFixed(1)} ms`]);
  };
  const kpis = '/api/kpis?month=2026-08';

  tell('up', `GET ${kpis}`, await one.ask(kpis));
  tell('up', `GET ${kpis}`, await untilHit(one, kpis, 't1'));
  await redis.kill('SIGKILL');
  tell('down', `GET ${kpis}`, await one.ask(kpis));
  bank.receive({
    id: 'pix-without-redis',
    account: 'a1',
    date: '2026-08-01T00:00:00',
    type: 'CREDIT',
    amount: '88.00',
  });
  tell('down', 'POST /api/sync', await one.ask('/api/sync', { body: {} }));
  const held = await one.ask(kpis);
  const [credit] = held.body as { total_amount: string }[];
  tell('down', `GET ${kpis}: ${credit?.total_amount ?? 'nothing'}`, held);
  await redis.restart();
  tell('back', `GET ${kpis}`, await untilHit(one, kpis, 't1'));
  return {
    title:
      'Redis is killed and comes back: everything is answered from the database, without an error (RC-1)',
    head: ['Redis', 'asked', 'answer', 'statements', 'took'],
    rows,
  };
}
