import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ioredisExecutor } from '../src/index.ts';
import { ioredis } from './integration/clients.ts';

/** What a node replies to a command; `undefined` for nothing. */
type Replies = (command: readonly string[], socket: Socket) => string | undefined;

describe.each(ioredis)('a cluster of $name whose slot is on the move', ({ cluster }) => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  async function node(replies: Replies): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        for (const command of commandsIn(String(data))) {
          const reply = replies(command, socket);
          if (reply !== undefined) socket.write(reply);
        }
      });
    });
    return await listening(server, closing);
  }

  it('a node that goes away while it is asked rejects the call and nothing else', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => {
      unhandled.push(error);
    };
    let asked = 0;
    const target = await node((command, socket) => {
      if (command[0] !== 'asking') return handshake(command, 0);
      asked++;
      socket.destroy();
      return undefined;
    });
    let port = 0;
    const source = await node((command) =>
      command[0] === 'get' ? `-ASK 1 127.0.0.1:${target}\r\n` : handshake(command, port),
    );
    port = source;
    const redis = ioredisExecutor(cluster([{ host: '127.0.0.1', port }]), { commandTimeout: '10s' });
    process.on('unhandledRejection', note);
    try {
      await expect(redis.command('GET', 'moving')).rejects.toThrow();
      await redis.close();
      // Rejections that nobody handles are told after the turn in which they happen.
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(asked).toBeGreaterThan(0);
    expect(unhandled).toEqual([]);
  });
});

/** What any node says, of a cluster in which the one on `port` has all slots. */
function handshake([name, verb]: readonly string[], port: number): string {
  if (name === 'hello') return '-NOPROTO this is a small server\r\n';
  if (name === 'info') return bulk('redis_version:7.2.0\r\nloading:0\r\n');
  if (name === 'cluster' && verb === 'slots') {
    return `*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n${bulk('127.0.0.1')}:${port}\r\n${bulk('a'.repeat(40))}`;
  }
  return name === 'cluster' ? bulk('cluster_state:ok\r\n') : '+OK\r\n';
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

/** The commands of a piece of RESP, in small letters; what is this short comes in one piece. */
function commandsIn(text: string): string[][] {
  return text
    .split(/(?=\*\d+\r\n)/)
    .map((command) =>
      [...command.matchAll(/\$\d+\r\n(.*)\r\n/g)].map(([, part]) => String(part).toLowerCase()),
    );
}

async function listening(server: Server, closing: (() => void)[]): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}
