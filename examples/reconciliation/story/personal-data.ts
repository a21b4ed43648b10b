import { Redis } from 'ioredis';
import { inventCustomers } from '../doubles/customers.ts';
import type { WiringOptions } from '../wiring.ts';
import { startServer } from './server.ts';
import type { Table } from './table.ts';

/** Looks for what is personal in everything that stands in Redis, beside a server that encrypts nothing. */
export async function personalData(
  redisUrl: string,
  base: Omit<WiringOptions, 'env' | 'onTrouble'>,
): Promise<Table> {
  const plain = await startServer({ ...base, env: { REDIS_URL: `${redisUrl}/1` } });
  await plain.ask('/api/customers');
  await plain.close();
  const databases = { encrypted: 0, 'plain JSON': 1 };
  const [first] = inventCustomers('t1', 1);
  const rows: string[][] = [];
  for (const [name, db] of Object.entries(databases)) {
    const redis = new Redis(redisUrl, { db });
    try {
      const keys = await redis.keys('ck:c:tenant:*');
      const values = keys.length === 0 ? [] : await redis.mget(keys);
      const holding = (text = ''): string => String(values.filter((value) => value?.includes(text)).length);
      rows.push([
        name,
        String(keys.length),
        holding(first?.cpf),
        holding(first?.phone),
        holding(first?.name),
      ]);
    } finally {
      redis.disconnect();
    }
  }
  return {
    title: 'How many entries in Redis show a customer, with the codec of encrypted.ts and without it',
    head: ['cache', 'entries', 'with the CPF', 'with the phone', 'with the name'],
    rows,
  };
}
