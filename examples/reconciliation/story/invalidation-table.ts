import type { Question, StoryServer } from './server.ts';
import type { Table } from './table.ts';
import { webhookFor } from './webhook.ts';

/** An office whose bank has nothing new, so that a sync computes nothing ahead. */
const tenant = 't3';
const paths = {
  settings: 'settings',
  accounts: 'accounts',
  txns: 'transactions',
  customers: 'customers',
  recon: 'reconciliation?month=2026-05',
  kpis: 'kpis?month=2026-05',
};

/** What happens to the office, each with a request. */
const happenings: Record<string, readonly [path: string, question: (server: StoryServer) => Question]> = {
  settingsSaved: [
    '/api/settings',
    () => ({ tenant, body: { cpf: 70, name: 40, contact: 40, amount: 20, enough: 50 } }),
  ],
  reconciliationConfirmed: [
    '/api/reconciliation/confirm',
    () => ({ tenant, body: { payment: '3-3', customer: 't3-c1' } }),
  ],
  clientLinked: [
    '/api/clients/link',
    () => ({ tenant, body: { payerCpf: '529.982.247-25', customer: 't3-c1' } }),
  ],
  synced: ['/api/sync', () => ({ tenant, body: {} })],
  webhookReceived: ['/webhooks/bank', ({ desk }) => webhookFor('a3', desk.webhookSecret)],
};

/** Fills every entry of two offices, lets something happen to the one, and asks again: a MISS is what became invalid. */
export async function invalidationTable(server: StoryServer): Promise<Table> {
  const rows: string[][] = [];
  for (const [event, [path, question]] of Object.entries(happenings)) {
    for (const office of [tenant, 't2']) await readAll(server, office);
    const answer = await server.ask(path, question(server));
    if (answer.status !== 202) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    rows.push([
      event,
      `POST ${path}`,
      ...(await readAll(server, tenant)),
      [...new Set(await readAll(server, 't2'))].join(', '),
    ]);
  }
  return {
    title: 'What becomes invalid when something happens, as the next requests see it (RC-8)',
    head: ['event', 'request', ...Object.keys(paths), 'all of another office'],
    rows,
  };
}

async function readAll(server: StoryServer, office: string): Promise<string[]> {
  const caches: string[] = [];
  for (const path of Object.values(paths)) {
    caches.push((await server.ask(`/api/${path}`, { tenant: office })).cache);
  }
  return caches;
}
