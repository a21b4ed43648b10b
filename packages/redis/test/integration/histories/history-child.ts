import { type ChildProcess, fork } from 'node:child_process';
import { type FaultProxy, startFaultProxy } from '@cachekit/core/testing';
import type { Answer, Order, Start } from './history-process.ts';

/** A process of its own behind links that break, one to each server. */
export class Child {
  readonly proxies: readonly FaultProxy[];
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>();
  #last = 0;

  constructor(process: ChildProcess, proxies: readonly FaultProxy[]) {
    this.#process = process;
    this.proxies = proxies;
  }

  static async start(start: Omit<Start, 'through'>, load: (key: string) => Promise<number>): Promise<Child> {
    const { servers } = start.reach;
    const proxies = await Promise.all(servers.map((server) => startFaultProxy(server)));
    const through = Object.fromEntries(
      servers.map(({ host, port }, index) => [
        `${host}:${port}`,
        { host: '127.0.0.1', port: (proxies[index] as FaultProxy).port },
      ]),
    );
    const forked = fork(
      new URL('./history-process.ts', import.meta.url),
      [JSON.stringify({ ...start, through } satisfies Start)],
      { execArgv: ['--conditions=@cachekit/source'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    const child = new Child(forked, proxies);
    await new Promise<void>((resolve, reject) => {
      forked.once('exit', (code) => reject(new Error(`The process ended with ${code}`)));
      forked.on('message', async (answer: Answer) => {
        if ('ready' in answer) resolve();
        else if ('load' in answer) {
          const value = await load(answer.key);
          child.#say({ do: 'loaded', load: answer.load, value });
        } else {
          child.#waiting.get(answer.id)?.(answer);
          child.#waiting.delete(answer.id);
        }
      });
    });
    return child;
  }

  order(
    order: DistributiveOmit<Exclude<Order, { do: 'loaded' }>, 'id'>,
  ): Promise<{ value?: unknown; error?: string }> {
    const id = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#say({ ...order, id } as Order);
    });
  }

  mend(): void {
    for (const proxy of this.proxies) proxy.mend();
  }

  async close(): Promise<void> {
    this.mend();
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await Promise.race([this.order({ do: 'close' }), ended]);
    await ended;
    clearTimeout(patience);
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
  }

  #say(order: Order): void {
    // One that has ended a moment ago still counts as connected, and an error nobody takes ends this process.
    if (this.#process.connected) this.#process.send(order, () => {});
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
