import { withCheckDigits } from '../matching/cpf.ts';

/** A customer as the office's own system knows them. */
export interface Customer {
  readonly id: string;
  readonly name: string;
  readonly cpf: string;
  readonly phone: string;
  readonly email: string;
  /** What is to be paid each month. */
  readonly due: string;
}

/** The system in which an office keeps its customers; slow, and somebody else's. */
export interface CustomerSystem {
  customers(tenant: string): Promise<readonly Customer[]>;
}

const firstNames = [
  'Ana',
  'Bruno',
  'Carla',
  'Davi',
  'Elisa',
  'Fábio',
  'Glória',
  'Hugo',
  'Inês',
  'João',
  'Lívia',
];
const middleNames = ['Almeida', 'Barros', 'Couto', 'Duarte', 'Esteves', 'Falcão', 'Guimarães'];
const lastNames = [
  'Araújo',
  'Brandão',
  'Conceição',
  'Drummond',
  'Evangelista',
  'Figueiredo',
  'Gonçalves',
  'Vasconcelos',
  'Holanda',
  'Nóbrega',
  'Siqueira',
  'Teixeira',
  'Uchôa',
];

/** Every sixth has the name of the one before, and owes the same, as father and son may. */
const isNamesake = (index: number): boolean => index % 6 === 5;

/** Customers of an office: invented, and the same every time. */
export function inventCustomers(tenant: string, count: number): Customer[] {
  const place = 1_000 * (Number(tenant.replace(/\D/g, '')) % 1_000);
  return Array.from({ length: count }, (_, index) => {
    const who = isNamesake(index) ? index - 1 : index;
    const name = [
      firstNames[who % firstNames.length],
      middleNames[who % middleNames.length],
      lastNames[who % lastNames.length],
    ].join(' ');
    const number = String(place + index).padStart(8, '0');
    const nine = withCheckDigits(`9${number}`);
    return {
      id: `${tenant}-c${index}`,
      name,
      cpf: `${nine.slice(0, 3)}.${nine.slice(3, 6)}.${nine.slice(6, 9)}-${nine.slice(9)}`,
      phone: `+55 (11) 9${number.slice(0, 4)}-${number.slice(4)}`,
      email: `customer${index}@${tenant}.example`,
      due: `${150 + (who % 40) * 10}.00`,
    };
  });
}

/** A customer system that answers with {@link inventCustomers}, and counts how often it was asked. */
export function pretendCustomers(count: number): CustomerSystem & { readonly asked: number } {
  let asked = 0;
  return {
    get asked() {
      return asked;
    },
    customers: async (tenant) => {
      asked++;
      return inventCustomers(tenant, count);
    },
  };
}
