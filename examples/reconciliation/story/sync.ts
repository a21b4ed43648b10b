import type { PretendBank } from '../doubles/bank.ts';
import { listen } from './listener.ts';
import type { Answer, Question, StoryServer } from './server.ts';
import type { Table } from './table.ts';
import { webhookFor } from './webhook.ts';

const month = '2026-07';

/** Follows a sync, and then a webhook, of an office from the bank to the next request of a browser. */
export async function followSync(one: StoryServer, other: StoryServer, bank: PretendBank): Promise<Table> {
  const browser = await listen(other.origin, 't1');
  const rows: string[][] = [];
  const tell = (step: string, seen: string, statements = '', tookMs?: number): void => {
    rows.push([step, seen, statements, tookMs === undefined ? '' : `${tookMs.toFixed(1)} ms`]);
  };
  const ask = async (server: StoryServer, path: string, question: Question = {}): Promise<Answer> => {
    const answer = await server.ask(path, question);
    const method = question.body === undefined ? 'GET' : 'POST';
    const cost = method === 'GET' ? String(answer.statements) : '';
    tell(
      `${server === one ? 'A' : 'B'}  ${method} ${path}${question.tenant ? ` of ${question.tenant}` : ''}`,
      said(answer),
      cost,
      answer.tookMs,
    );
    return answer;
  };
  const event = async (type: 'sync_complete' | 'reconciliation_ready'): Promise<void> => {
    const startedAt = performance.now();
    const data = JSON.stringify(await browser.next(type));
    tell(`B  event ${type}`, data, '', performance.now() - startedAt);
  };

  try {
    await ask(one, '/api/transactions');
    await ask(one, '/api/transactions', { tenant: 't2' });
    const synced = await ask(one, '/api/sync', { body: {} });
    await event('sync_complete');
    await event('reconciliation_ready');
    const clock = synced.headers.get('X-CacheKit-Clock');
    await ask(one, `/api/reconciliation?month=${month}`, { clock });
    await ask(other, `/api/reconciliation?month=${month}`, { clock });
    await ask(other, '/api/transactions', { clock });
    await ask(other, '/api/transactions', { clock });
    await ask(other, `/api/kpis?month=${month}`, { clock });
    await ask(one, '/api/transactions', { tenant: 't2' });

    bank.receive({
      id: 'pix-after-the-sync',
      account: 'a1',
      date: `${month}-31T00:00:00`,
      type: 'CREDIT',
      amount: '77.00',
      description: 'PIX RECEBIDO',
    });
    await ask(one, '/webhooks/bank', webhookFor('a1', 'not the secret'));
    const told = await ask(one, '/webhooks/bank', webhookFor('a1', one.desk.webhookSecret));
    await event('sync_complete');
    await event('reconciliation_ready');
    await ask(other, '/api/transactions', { clock: told.headers.get('X-CacheKit-Clock') });
  } finally {
    browser.leave();
  }
  return {
    title: 'From the bank to the next request: a sync of t1 at server A, then a webhook (RC-11, RC-12)',
    head: ['at', 'what was answered', 'statements', 'took'],
    rows,
  };
}

/** The answer in a few words. */
function said({ status, cache, body }: Answer): string {
  const of = body as Record<string, unknown>;
  if (cache === '') return `${status} ${JSON.stringify(body)}`;
  const [newest] = Array.isArray(of.transactions) ? (of.transactions as { id: string }[]) : [];
  if (newest) return `${cache}, the newest is ${newest.id}`;
  if (of.totals) return `${cache}, ${JSON.stringify(of.totals)}`;
  if (Array.isArray(body)) {
    return `${cache}, ${body.map(({ type, tx_count, total_amount }) => `${type} ${tx_count} of ${total_amount}`).join(', ')}`;
  }
  return cache;
}
