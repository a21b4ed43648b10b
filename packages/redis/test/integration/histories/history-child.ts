import { type ChildProcess, fork } from 'node:child_process';
import type { FaultProxy } from '@cachekit/core/testing';
import type { Answer, Order } from './history-process.ts';

/** A process of its own behind a link that breaks. */
export class Child {
  readonly proxy: FaultProxy;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>();
  #last = 0;

  constructor(process: ChildProcess, proxy: FaultProxy) {
    this.#process = process;
    this.proxy = proxy;
  }

  static async start(
    proxy: FaultProxy,
    namespace: string,
    mode: { readonly coherence: string; readonly sabotage: string },
    load: (key: string) => Promise<number>,
  ): Promise<Child> {
    const forked = fork(
      new URL('./history-process.ts', import.meta.url),
      [String(proxy.port), namespace, mode.coherence, mode.sabotage],
      { execArgv: ['--conditions=@cachekit/source'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    const child = new Child(forked, proxy);
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

  async close(): Promise<void> {
    this.proxy.mend();
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await Promise.race([this.order({ do: 'close' }), ended]);
    await ended;
    clearTimeout(patience);
    await this.proxy.close();
  }

  #say(order: Order): void {
    if (this.#process.connected) this.#process.send(order);
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
