import { type AddressInfo, createServer, type Server } from 'node:net';
import { pgClientExecutor, pgExecutor } from '@cachekit/core/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** A message of the protocol of PostgreSQL. */
function message(type: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body as string);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

/** AuthenticationOk and ReadyForQuery, and in the same packet the word of a server that ends the session. */
const welcomeAndFarewell = Buffer.concat([
  message('R', Buffer.alloc(4)),
  message('Z', 'I'),
  message('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'),
]);

let server: Server;
let address: pg.ClientConfig;

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(welcomeAndFarewell));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  address = { host: '127.0.0.1', port, user: 'any', database: 'any', ssl: false };
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

describe('a connection that is terminated as it opens does not end the process', () => {
  test('of a pool', async () => {
    const pool = new pg.Pool(address);
    const executors = [pgExecutor(pool), pgExecutor(pool)];
    expect(pool.listenerCount('connect')).toBe(1);
    for (const sql of executors) {
      await expect(sql.transaction((transaction) => transaction.query('select 1'))).rejects.toThrow();
      await expect(sql.query('select 1')).rejects.toThrow();
    }
    await pool.end();
  });

  test('of a client whose executor was made before it connected', async () => {
    const client = new pg.Client(address);
    const sql = pgClientExecutor(client);
    await client.connect();
    await expect(sql.query('select 1')).rejects.toThrow();
    await client.end();
  });
});
