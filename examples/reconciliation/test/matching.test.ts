import { describe, expect, test } from 'vitest';
import { paymentsOf } from '../doubles/bank.ts';
import { type Customer, inventCustomers } from '../doubles/customers.ts';
import { contactsIn, phoneDigits } from '../matching/contacts.ts';
import { cpfDigits, withCheckDigits } from '../matching/cpf.ts';
import { createMatcher, type Payment } from '../matching/match.ts';
import { indexNames, lettersOf } from '../matching/names.ts';
import { defaultSettings } from '../settings.ts';

const { weights } = defaultSettings;

describe('a CPF', () => {
  test.each([
    ['529.982.247-25', '52998224725'],
    ['52998224725', '52998224725'],
    ['529.982.247-26', undefined],
    ['111.111.111-11', undefined],
    ['5299822472', undefined],
    ['', undefined],
    [null, undefined],
  ])('%j is %j', (text, digits) => {
    expect(cpfDigits(text)).toBe(digits);
  });

  test('of the last two digits one pair is right', () => {
    for (const nine of ['123456789', '529982247', '900001003']) {
      const all = Array.from({ length: 100 }, (_, pair) => nine + String(pair).padStart(2, '0'));
      expect(all.filter((digits) => cpfDigits(digits))).toEqual([withCheckDigits(nine)]);
    }
  });
});

describe('names', () => {
  const alike = (one: string, other: string) => indexNames([one], 0)(other).get(0) ?? 0;

  test.each([
    ['João da Silva', 'JOAO SILVA'],
    ['Maria Conceição', 'Conceicao, Maria'],
    ['Ana  de   Souza', 'ANA SOUZA'],
  ])('%s and %s are the same', (one, other) => {
    expect(alike(one, other)).toBe(1);
  });

  test('what is misspelt or cut is near, somebody else is far, and either way round is the same', () => {
    const near = alike('Carla Couto Conceição', 'CARLA COUT CONEICAO');
    const far = alike('Carla Couto Conceição', 'Bruno Barros Brandão');
    expect(near).toBeGreaterThan(0.6);
    expect(far).toBeLessThan(0.2);
    expect(alike('CARLA COUT CONEICAO', 'Carla Couto Conceição')).toBe(near);
  });

  test('the index finds what comparing each with each finds', () => {
    const customers = inventCustomers('t1', 120);
    const index = indexNames(
      customers.map(({ name }) => name),
      0.3,
    );
    for (const { payerName = '' } of paymentsOf(customers, 'a1', '2026-07')) {
      const one = lettersOf(payerName);
      const expected = customers.flatMap(({ name }, place) => {
        const other = lettersOf(name);
        const likeness = (2 * [...one].filter((group) => other.has(group)).length) / (one.size + other.size);
        return likeness >= 0.3 ? [[place, likeness] as const] : [];
      });
      expect([...index(payerName)].sort(([a], [b]) => a - b)).toEqual(expected);
    }
  });

  test('nothing is like nobody', () => {
    for (const empty of ['', ' ', 'de da', '123']) expect(alike(empty, empty)).toBe(0);
  });
});

test('phones and mail addresses are found in what a bank wrote', () => {
  expect([...contactsIn('PIX de Ana.Lima@Office.example, fone +55 (11) 98888-1234')]).toEqual([
    'ana.lima@office.example',
    '11988881234',
  ]);
  expect([...contactsIn('BOLETO 2026-07-01 parcela 3')]).toEqual([]);
  expect(phoneDigits('11 3333-4444')).toBe('1133334444');
  expect(phoneDigits('12345')).toBe('');
});

describe('whose a payment is (RC-11)', () => {
  const customers: Customer[] = [
    {
      id: 'ana',
      name: 'Ana Lima Prado',
      cpf: '529.982.247-25',
      phone: '+55 11 98888-1234',
      email: 'ana@lima.example',
      due: '150.00',
    },
    { id: 'rui', name: 'Rui Mota', cpf: '', phone: '', email: '', due: '150.00' },
  ];
  const paid = (known: Partial<Payment>, links: [string, string][] = [], of = customers) =>
    createMatcher(
      of,
      weights,
      new Map(links),
    )({
      id: 'p',
      amount: '1.00',
      payerName: null,
      payerCpf: null,
      description: '',
      ...known,
    });

  test.each<[string, Partial<Payment>, string[], number]>([
    ['the CPF', { payerCpf: '52998224725' }, ['cpf'], 70],
    ['the whole name', { payerName: 'ANA LIMA PRADO' }, ['name'], 50],
    ['a phone', { description: 'PIX 11988881234' }, ['contact'], 50],
    ['a mail address', { description: 'PIX ANA@LIMA.EXAMPLE' }, ['contact'], 50],
    [
      'a name that is nearly right, with the amount',
      { payerName: 'ANA LIM PRADO', amount: '150.00' },
      ['name', 'amount'],
      65,
    ],
    [
      'everything',
      {
        payerCpf: '529.982.247-25',
        payerName: 'Ana Lima Prado',
        amount: '150.00',
        description: 'ana@lima.example',
      },
      ['cpf', 'name', 'contact', 'amount'],
      100,
    ],
  ])('%s tells', (_what, known, reasons, score) => {
    const { state, candidates } = paid(known);
    expect(state).toBe('matched');
    expect(candidates).toEqual([{ customer: 'ana', name: 'Ana Lima Prado', score, reasons }]);
  });

  test.each<[string, Partial<Payment>]>([
    ['an amount alone', { amount: '150.00' }],
    ['a part of a name', { payerName: 'ANA' }],
    ['a CPF with a wrong digit', { payerCpf: '52998224726' }],
    ['nothing', {}],
  ])('%s tells nothing', (_what, known) => {
    expect(paid(known)).toEqual({ payment: 'p', state: 'open', candidates: [] });
  });

  test('a customer without a CPF, a phone and a mail address is not everybody who has none', () => {
    expect(paid({ description: 'DEPOSITO', payerName: '' }).state).toBe('open');
  });

  test('two of one name are for a person to choose from, unless something else tells', () => {
    const [ana] = customers as [Customer, Customer];
    const both = [ana, { ...ana, id: 'other', cpf: '', phone: '', email: '' }];
    const byName = paid({ payerName: 'Ana Lima Prado' }, [], both);
    expect(byName.state).toBe('ambiguous');
    expect(byName.candidates.map(({ customer }) => customer)).toEqual(['ana', 'other']);
    expect(paid({ payerName: 'Ana Lima Prado', payerCpf: ana.cpf }, [], both).state).toBe('matched');
  });

  test('what a person said of a payer counts more than anything else', () => {
    const known = { payerCpf: '529.982.247-25', payerName: 'Ana Lima Prado' };
    expect(paid(known, [['52998224725', 'rui']]).candidates).toEqual([
      { customer: 'rui', name: 'Rui Mota', score: 100, reasons: ['link'] },
    ]);
    expect(paid(known, [['52998224725', 'nobody']]).candidates[0]?.customer, 'a customer who left').toBe(
      'ana',
    );
  });

  test('of the invented payments each kind is found as it is meant', () => {
    const invented = inventCustomers('t1', 300);
    const match = createMatcher(invented, weights, new Map());
    const states = paymentsOf(invented, 'a1', '2026-07').map(
      ({ description = '', payerName, payerCpf, ...rest }) =>
        match({ ...rest, description, payerName: payerName ?? null, payerCpf: payerCpf ?? null }),
    );
    const kinds = ['matched', 'matched', 'matched', 'matched', 'open', 'ambiguous'];
    expect(states.map(({ state }) => state)).toEqual(states.map((_, index) => kinds[index % 6]));
    for (const [index, { state, candidates }] of states.entries()) {
      if (state === 'matched') expect(candidates[0]?.customer).toBe(`t1-c${index}`);
    }
  });
});
