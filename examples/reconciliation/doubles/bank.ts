import { withCheckDigits } from '../matching/cpf.ts';
import type { Customer } from './customers.ts';

/** A transaction as the aggregator sends it. */
export interface BankTransaction {
  readonly id: string;
  readonly account: string;
  /** ISO 8601. */
  readonly date: string;
  readonly type: 'CREDIT' | 'DEBIT';
  readonly amount: string;
  readonly description?: string;
  readonly payerName?: string;
  readonly payerCpf?: string;
}

/** A service that reads the accounts of an office at its banks. */
export interface BankAggregator {
  transactions(account: string): Promise<readonly BankTransaction[]>;
}

/** An aggregator of the example's own, to which payments come when they are told to. */
export interface PretendBank extends BankAggregator {
  receive(transaction: BankTransaction): void;
}

export function pretendBank(): PretendBank {
  const accounts = new Map<string, BankTransaction[]>();
  return {
    transactions: async (account) => [...(accounts.get(account) ?? [])],
    receive(transaction) {
      const received = accounts.get(transaction.account) ?? [];
      accounts.set(transaction.account, [...received, transaction]);
    },
  };
}

/** How well a bank knows who paid. */
type Knowledge = Pick<BankTransaction, 'payerName' | 'payerCpf' | 'description'>;

const knowledge: readonly ((payer: Customer) => Knowledge)[] = [
  ({ name, cpf }) => ({ payerName: name.toUpperCase(), payerCpf: cpf, description: 'PIX RECEBIDO' }),
  // Somebody else's account, with the number of the customer.
  ({ cpf }) => ({ payerName: 'CONTA CONJUNTA', payerCpf: cpf, description: 'TED RECEBIDA' }),
  ({ name }) => ({ payerName: misspelt(name), description: 'DEPOSITO' }),
  ({ phone }) => ({ description: `PIX RECEBIDO ${phone}` }),
  ({ cpf }) => ({ payerName: 'TIA ZULMIRA', payerCpf: strangerOf(cpf), description: 'PIX RECEBIDO' }),
  ({ name }) => ({ payerName: name.toUpperCase(), description: 'DEPOSITO' }),
];

/** What each customer paid in a month (`2026-07`), in six ways: the bank knows much of the one and little of the other. */
export function paymentsOf(
  customers: readonly Customer[],
  account: string,
  month: string,
): BankTransaction[] {
  return customers.map((payer, index) => ({
    id: `${account}-${month}-${index}`,
    account,
    date: `${month}-${String(1 + (index % 28)).padStart(2, '0')}T00:00:00`,
    type: 'CREDIT',
    amount: payer.due,
    ...knowledge[index % knowledge.length]?.(payer),
  }));
}

/** The CPF of somebody who pays for a customer, and whom nobody knows. */
export function strangerOf(cpf: string): string {
  return withCheckDigits(`8${cpf.replace(/\D/g, '').slice(1, 9)}`);
}

/** In capitals, without accents, the middle name cut and one letter lost. */
function misspelt(name: string): string {
  const [first = '', middle = '', last = ''] = name
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toUpperCase()
    .split(' ');
  return `${first} ${middle.slice(0, 4)} ${last.slice(0, 3)}${last.slice(4)}`;
}
