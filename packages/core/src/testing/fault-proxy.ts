import { connect, createServer, type Server, type Socket } from 'node:net';

/** One connection through a {@link FaultProxy}, as its `which` functions see it. */
export interface ProxiedConnection {
  /** What the client has sent first, as text, up to 4 kB: enough to tell what the connection is for. */
  readonly sent: string;
}

/** What {@link startFaultProxy} takes. */
export interface FaultProxyOptions {
  /** The server behind it. */
  readonly port: number;
  /** @defaultValue `"127.0.0.1"` */
  readonly host?: string;
}

interface Pair extends ProxiedConnection {
  sent: string;
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes that wait, by direction. */
  readonly toClient: Buffer[];
  readonly toServer: Buffer[];
}

const host = '127.0.0.1';
const mostSent = 4_096;

/**
 * Starts a TCP proxy before a server, to be broken by a test.
 *
 * @example
 * const proxy = await startFaultProxy({ port: 6379 });
 * proxy.hang(); // connections stay and say nothing, as those of a stopped server
 * proxy.mend();
 * await proxy.close();
 */
export function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new FaultProxy(options);
  return proxy.listen();
}

/** A link to a server that a test breaks and mends. Made by {@link startFaultProxy}. */
export class FaultProxy {
  readonly #target: { readonly port: number; readonly host: string };
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #refusing = false;
  #hanging = false;
  #held: ((connection: ProxiedConnection) => boolean) | undefined;

  constructor(options: FaultProxyOptions) {
    this.#target = { port: options.port, host: options.host ?? host };
    this.#server = createServer((client) => this.#accept(client));
  }

  /** Where clients connect to, on the loopback address. */
  get port(): number {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The proxy does not listen');
    return address.port;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Begins to accept connections. */
  listen(): Promise<this> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, host, () => resolve(this));
    });
  }

  /** Ends every connection, or those that `which` names; new ones are let through. */
  cut(which: (connection: ProxiedConnection) => boolean = () => true): void {
    for (const pair of [...this.#pairs]) if (which(pair)) this.#end(pair);
  }

  /** Ends every connection, and every new one at once, as a server does that is gone. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  /** Keeps every connection and lets nothing through, as a server does that is stopped, until {@link FaultProxy.mend}. */
  hang(): void {
    this.#hanging = true;
  }

  /** Keeps what the server says back on the connections that `which` names, until the function it gives is called. */
  hold(which: (connection: ProxiedConnection) => boolean = () => true): () => void {
    this.#held = which;
    return () => {
      this.#held = undefined;
      this.#flush();
    };
  }

  /** Lets everything through again, what was kept back first. */
  mend(): void {
    this.#refusing = false;
    this.#hanging = false;
    this.#held = undefined;
    this.#flush();
  }

  /** Ends every connection and stops to accept. */
  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const server = connect(this.#target.port, this.#target.host);
    const pair: Pair = { sent: '', client, server, toClient: [], toServer: [] };
    this.#pairs.add(pair);
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on('data', (bytes: Buffer) => {
      if (pair.sent.length < mostSent) pair.sent += bytes.toString('latin1').slice(0, mostSent);
      pair.toServer.push(bytes);
      this.#pass(pair);
    });
    server.on('data', (bytes: Buffer) => {
      pair.toClient.push(bytes);
      this.#pass(pair);
    });
    for (const socket of [client, server]) {
      socket.on('error', () => this.#end(pair));
      socket.on('close', () => this.#end(pair));
    }
  }

  #pass(pair: Pair): void {
    if (this.#hanging) return;
    for (const bytes of pair.toServer.splice(0)) pair.server.write(bytes);
    if (this.#held?.(pair)) return;
    for (const bytes of pair.toClient.splice(0)) pair.client.write(bytes);
  }

  #flush(): void {
    for (const pair of this.#pairs) this.#pass(pair);
  }

  #end(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return;
    pair.client.destroy();
    pair.server.destroy();
  }
}
