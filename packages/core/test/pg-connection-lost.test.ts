import { type AddressInfo, createServer, type Server } from 'node:net';
import { pgClientExecutor, pgExecutor, sharedPool } from '@cachekit/core/postgres';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

/** A message of the protocol of PostgreSQL. */
function message(type: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body as string);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

const authenticated = message('R', Buffer.alloc(4));
const ready = message('Z', 'I');
const farewell = message(
  'E',
  'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0',
);

let server: Server;
let address: pg.ClientConfig;
/** What the server says first, and then to a statement: each is one packet. */
let packets: Buffer[];

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    const left = [...packets];
    socket.on('data', () => {
      const packet = left.shift() ?? farewell;
      if (left.length > 0) socket.write(packet);
      else socket.end(packet);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  address = { host: '127.0.0.1', port, user: 'any', database: 'any', ssl: false };
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

describe('a connection that is terminated as it opens does not end the process', () => {
  beforeEach(() => {
    packets = [Buffer.concat([authenticated, ready, farewell])];
  });

  test('of a pool', async () => {
    const pool = new pg.Pool(address);
    const executors = [pgExecutor(pool), pgExecutor(pool)];
    expect(pool.listenerCount('acquire')).toBe(1);
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

describe('a connection that is terminated as it goes from one to the next does not end the process', () => {
  const done = message('C', 'SELECT 1\0');
  const pools = {
    'that has an executor': () => {
      const pool = new pg.Pool({ ...address, max: 1 });
      pgExecutor(pool);
      return pool;
    },
    'that is shared': () => sharedPool(() => new pg.Pool({ ...address, max: 1 }), 'terminated'),
  };

  test.each(Object.entries(pools))('of a pool %s', async (_, open) => {
    packets = [
      Buffer.concat([authenticated, ready]),
      Buffer.concat([done, ready]),
      Buffer.concat([done, ready, farewell]),
    ];
    const pool = open();
    await pool.query('select 1');
    const before = pool.query('select 1');
    const next = pool.connect();
    await before;
    const client = await next;
    await expect(client.query('select 1')).rejects.toThrow();
    client.release(true);
    await pool.end();
  });
});
