import { connect, createServer, type Socket } from 'node:net';

/**
 * What the proxy does to connections.
 *
 * | fault        |                                                                          |
 * | ------------ | ------------------------------------------------------------------------ |
 * | `none`       | passes everything on                                                     |
 * | `slow`       | passes replies on 200 ms late                                            |
 * | `half-open`  | takes everything and answers nothing                                     |
 * | `reset`      | resets the connection in the middle of the next reply                    |
 * | `truncate`   | passes on half of the next reply, then ends the connection               |
 * | `refuse`     | ends every connection at once                                            |
 * | text         | answers each command with this line                                      |
 */
export type Fault = 'none' | 'slow' | 'half-open' | 'reset' | 'truncate' | 'refuse' | `-${string}`;

/** A TCP proxy in front of a Redis that does harm on demand. */
export interface FaultProxy {
  readonly url: string;
  set(fault: Fault): void;
  close(): Promise<void>;
}

export async function startFaultProxy(redisUrl: string): Promise<FaultProxy> {
  const target = new URL(redisUrl);
  let fault: Fault = 'none';
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (fault === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    // What was lost on the way cannot come back: such a connection stays dead.
    let dead = false;
    client.on('data', (data: Buffer) => {
      if (fault === 'half-open') dead = true;
      if (dead) return;
      if (!fault.startsWith('-')) {
        upstream.write(data);
        return;
      }
      // Every command is an array, so it begins with a line of its own.
      const commands = data.toString('latin1').match(/^\*\d+\r\n/gm)?.length ?? 0;
      client.write(`${fault}\r\n`.repeat(commands));
    });
    upstream.on('data', (data: Buffer) => {
      if (fault === 'half-open') dead = true;
      if (dead) return;
      if (fault === 'slow') setTimeout(() => client.writable && client.write(data), 200);
      else if (fault === 'reset') {
        client.write(data.subarray(0, data.length >> 1));
        client.resetAndDestroy();
      } else if (fault === 'truncate') client.end(data.subarray(0, data.length >> 1));
      else client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy listens nowhere');
  return {
    url: `redis://127.0.0.1:${address.port}`,
    set(next) {
      fault = next;
      if (next === 'refuse') for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
