import type { Customer } from '../doubles/customers.ts';
import { contactsIn, phoneDigits } from './contacts.ts';
import { cpfDigits } from './cpf.ts';
import { indexNames } from './names.ts';

/** A payment that came in, as the bank describes it. */
export interface Payment {
  readonly id: string;
  readonly amount: string;
  readonly payerName: string | null;
  readonly payerCpf: string | null;
  readonly description: string;
}

/** What tells that a payment is of a customer. `link`: a person said so of this payer before. */
type Reason = 'link' | 'cpf' | 'name' | 'amount' | 'contact';

/** What each reason weighs, and how much is enough. */
export interface Weights {
  readonly cpf: number;
  readonly name: number;
  readonly amount: number;
  readonly contact: number;
  readonly enough: number;
}

/** A customer who may have paid, from 0 (certainly not) to 100. */
interface Candidate {
  readonly customer: string;
  readonly name: string;
  readonly score: number;
  readonly reasons: readonly Reason[];
}

/** Whose a payment is: one customer, one of several that a person has to choose from, or nobody known. */
export interface Match {
  readonly payment: string;
  readonly state: 'matched' | 'ambiguous' | 'open';
  /** The best first; none where it is open. */
  readonly candidates: readonly Candidate[];
}

/** Names that are less alike say nothing. */
const alike = 0.6;
/** The best candidate is better than the next by so much, or a person decides. */
const clearly = 10;
const mostCandidates = 3;
const whole = 100;

/** What is known of the customers, made ready to be asked about many payments. */
export type Matcher = (payment: Payment) => Match;

/**
 * Makes a matcher of payments with customers.
 *
 * @param links - From the CPF of a payer to the customer whose bills that one pays.
 */
export function createMatcher(
  customers: readonly Customer[],
  weights: Weights,
  links: ReadonlyMap<string, string>,
): Matcher {
  const byId = new Map(customers.map((customer) => [customer.id, customer]));
  const byCpf = indexBy(customers, ({ cpf }) => [cpfDigits(cpf)]);
  const byContact = indexBy(customers, ({ phone, email }) => [phoneDigits(phone), email.toLowerCase()]);
  const namesLike = indexNames(
    customers.map(({ name }) => name),
    alike,
  );

  return (payment) => {
    const cpf = cpfDigits(payment.payerCpf) ?? '';
    const linked = byId.get(links.get(cpf) ?? '');
    if (linked !== undefined) return decided(payment, linked);

    const found = new Map<number, { score: number; reasons: Reason[] }>();
    const add = (place: number, reason: Reason, points: number): void => {
      const candidate = found.get(place) ?? { score: 0, reasons: [] };
      candidate.score += points;
      candidate.reasons.push(reason);
      found.set(place, candidate);
    };
    for (const place of byCpf.get(cpf) ?? []) add(place, 'cpf', weights.cpf);
    for (const [place, likeness] of namesLike(payment.payerName ?? ''))
      add(place, 'name', weights.name * likeness);
    const contacted = [...contactsIn(payment.description)].flatMap((contact) => byContact.get(contact) ?? []);
    for (const place of new Set(contacted)) add(place, 'contact', weights.contact);
    // Many owe the same: an amount speaks only for somebody for whom something else does.
    for (const place of found.keys()) {
      if (customers[place]?.due === payment.amount) add(place, 'amount', weights.amount);
    }
    return judged(payment, found, customers, weights.enough);
  };
}

/** The best of those who were found, and whether that one is clearly the best. */
function judged(
  payment: Payment,
  found: ReadonlyMap<number, { readonly score: number; readonly reasons: readonly Reason[] }>,
  customers: readonly Customer[],
  enough: number,
): Match {
  const candidates: Candidate[] = [];
  for (const [place, { score, reasons }] of found) {
    const customer = customers[place];
    if (customer === undefined || score < enough) continue;
    candidates.push({
      customer: customer.id,
      name: customer.name,
      score: Math.min(whole, Math.round(score)),
      reasons,
    });
  }
  candidates.sort((one, other) => other.score - one.score || (one.customer < other.customer ? -1 : 1));
  const [best, next] = candidates;
  if (best === undefined) return { payment: payment.id, state: 'open', candidates };
  if (best.score - (next?.score ?? 0) >= clearly) {
    return { payment: payment.id, state: 'matched', candidates: [best] };
  }
  return { payment: payment.id, state: 'ambiguous', candidates: candidates.slice(0, mostCandidates) };
}

/** What a person has said needs no reasons. */
function decided(payment: Payment, { id, name }: Customer): Match {
  return {
    payment: payment.id,
    state: 'matched',
    candidates: [{ customer: id, name, score: whole, reasons: ['link'] }],
  };
}

/** The places of customers by what they are known by; what is empty nobody is known by. */
function indexBy(
  customers: readonly Customer[],
  knownBy: (customer: Customer) => readonly (string | undefined)[],
): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  for (const [place, customer] of customers.entries()) {
    for (const text of knownBy(customer)) if (text) places.set(text, [...(places.get(text) ?? []), place]);
  }
  return places;
}
