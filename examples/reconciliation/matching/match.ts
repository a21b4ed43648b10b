import type { Customer } from '../doubles/customers.ts';
import { contactsIn, phoneDigits } from './contacts.ts';
import { cpfDigits } from './cpf.ts';
import { likeness, nameProfile } from './names.ts';

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
  const known = customers.map((customer) => ({
    ...customer,
    cpf: cpfDigits(customer.cpf),
    phone: phoneDigits(customer.phone),
    email: customer.email.toLowerCase(),
    profile: nameProfile(customer.name),
  }));

  const byId = new Map(customers.map((customer) => [customer.id, customer]));

  return (payment) => {
    const cpf = cpfDigits(payment.payerCpf);
    const linked = byId.get((cpf === undefined ? undefined : links.get(cpf)) ?? '');
    if (linked !== undefined) return decided(payment, linked);
    const profile = nameProfile(payment.payerName ?? '');
    const contacts = contactsIn(payment.description);
    const candidates: Candidate[] = [];
    for (const customer of known) {
      const reasons: Reason[] = [];
      let score = 0;
      const add = (reason: Reason, points: number): void => {
        reasons.push(reason);
        score += points;
      };
      if (cpf !== undefined && cpf === customer.cpf) add('cpf', weights.cpf);
      const same = likeness(profile, customer.profile);
      if (same >= alike) add('name', weights.name * same);
      if (contacts.has(customer.email) || contacts.has(customer.phone)) add('contact', weights.contact);
      // Many owe the same: an amount speaks for somebody only where something else does.
      if (score > 0 && payment.amount === customer.due) add('amount', weights.amount);
      if (score < weights.enough) continue;
      candidates.push({
        customer: customer.id,
        name: customer.name,
        score: Math.min(whole, Math.round(score)),
        reasons,
      });
    }
    candidates.sort((one, other) => other.score - one.score);
    const [best, next] = candidates;
    const state =
      best === undefined ? 'open' : best.score - (next?.score ?? 0) >= clearly ? 'matched' : 'ambiguous';
    return {
      payment: payment.id,
      state,
      candidates: candidates.slice(0, state === 'matched' ? 1 : mostCandidates),
    };
  };
}

/** What a person has said needs no reasons. */
function decided(payment: Payment, { id, name }: Customer): Match {
  return {
    payment: payment.id,
    state: 'matched',
    candidates: [{ customer: id, name, score: whole, reasons: ['link'] }],
  };
}
