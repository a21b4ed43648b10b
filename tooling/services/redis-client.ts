import { Redis } from 'ioredis';
import type { Address } from './address.ts';

/** What was asked of a server: its replies are plain values, so they are checked where they are read. */
export type Ask = (command: string, ...args: string[]) => Promise<unknown>;

/** Runs `work` with a connection to one server of a cluster or a sentinel set, and closes it. */
export async function withRedis<T>(address: Address, work: (ask: Ask) => Promise<T>): Promise<T> {
  const client = new Redis({
    ...address,
    lazyConnect: true,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    commandTimeout: 5_000,
    retryStrategy: () => null,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return await work((command, ...args) => client.call(command, ...args));
  } finally {
    client.disconnect();
  }
}
