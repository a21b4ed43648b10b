import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A line that can be cut: passes bytes to the target until `cut`, which ends every connection at once. */
export interface CuttableProxy {
  origin: string;
  /** Ends the connections there are; while `refuse` holds, new ones are ended too. */
  cut(options?: { refuse: boolean }): void;
  mend(): void;
  close(): Promise<void>;
}

export async function cuttableProxy(target: string): Promise<CuttableProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let refusing = false;
  const server = createServer((near) => {
    if (refusing) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = ({ refuse } = { refuse: false }): void => {
    refusing = refuse;
    for (const socket of sockets) socket.destroy();
  };
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    mend: () => {
      refusing = false;
    },
    close() {
      cut({ refuse: true });
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
