import type { RedisServer } from '@cachekit/services';
import type { PretendBank } from '../doubles/bank.ts';
import type { Answer, StoryServer } from './server.ts';
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
  tell('up', `GET ${kpis}`, await one.ask(kpis));
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
  await one.desk.background.idle();
  await redis.restart();
  const startedAt = performance.now();
  while ((await one.ask(kpis)).cache !== 'HIT') {
    if (performance.now() - startedAt > 30_000) throw new Error('Redis is back, and nothing is cached');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  tell('back', `GET ${kpis}`, await one.ask(kpis));
  return {
    title:
      'Redis is killed and comes back: everything is answered from the database, without an error (RC-1)',
    head: ['Redis', 'asked', 'answer', 'statements', 'took'],
    rows,
  };
}
