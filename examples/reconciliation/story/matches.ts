import { strangerOf } from '../doubles/bank.ts';
import { inventCustomers } from '../doubles/customers.ts';
import type { Reconciliation } from '../reconciliation.ts';
import type { StoryServer } from './server.ts';
import type { Table } from './table.ts';

const month = '2026-07';

/** Whose some payments are, and how that changes when a person decides. */
export async function matches({ ask }: StoryServer): Promise<Table> {
  const rows: string[][] = [];
  const read = async (): Promise<Reconciliation> =>
    (await ask(`/api/reconciliation?month=${month}`)).body as Reconciliation;
  const show = ({ payments }: Reconciliation, id: string): void => {
    const payment = payments.find((one) => one.id === id);
    if (!payment) throw new Error(`There is no payment ${id}`);
    const { payer, description, amount, state, candidates } = payment;
    rows.push([
      payer ?? '-',
      description,
      amount,
      state,
      candidates.map(({ name, score }) => `${name} ${score}`).join(' or ') || '-',
      candidates[0]?.reasons.join(', ') ?? '-',
    ]);
  };

  const before = await read();
  for (let kind = 0; kind < 6; kind++) show(before, `a1-${month}-${kind}`);
  const [, , , , nephew] = inventCustomers('t1', 5);
  const payerCpf = strangerOf(nephew?.cpf ?? '');
  await ask('/api/clients/link', { body: { payerCpf, customer: nephew?.id } });
  await ask('/api/reconciliation/confirm', { body: { payment: `a1-${month}-5`, customer: 't1-c5' } });
  const after = await read();
  for (const kind of [4, 5]) show(after, `a1-${month}-${kind}`);
  return {
    title:
      'Whose the payments are; the last two once a person has linked one payer and confirmed the other payment',
    head: ['payer', 'what the bank wrote', 'amount', 'state', 'customer and score', 'because of'],
    rows,
  };
}
