import type { startRedisCluster } from '@cachekit/services';
import { type Observer, observe } from './clients.ts';

type Servers = Awaited<ReturnType<typeof startRedisCluster>>;

/** The masters of a cluster as an administrator sees them. */
export class ClusterSlots {
  readonly #masters: readonly Master[];

  private constructor(masters: readonly Master[]) {
    this.#masters = masters;
  }

  static async of(servers: Servers): Promise<ClusterSlots> {
    const masters = await Promise.all(
      (await servers.masters()).map(async ({ host, port }) => {
        const node = observe(`redis://${host}:${port}`);
        return { node, port, id: String(await node.call('CLUSTER', 'MYID')) };
      }),
    );
    return new ClusterSlots(masters);
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.#first.call('CLUSTER', 'KEYSLOT', key));
  }

  /** The port of the master that serves the key. */
  async ownerOf(key: string): Promise<number> {
    return (await this.#owner(await this.slotOf(key))).port;
  }

  /** The ports of the replicas of the master on this port. */
  async replicasOf(port: number): Promise<number[]> {
    const { id } = this.#on(port);
    const lines = (await this.#first.call('CLUSTER', 'REPLICAS', id)) as string[];
    return lines.map((line) => Number(/:(\d+)@/.exec(line)?.[1]));
  }

  /** How often masters have answered with an error of this name, such as `ASK`. */
  async answered(error: 'ASK' | 'MOVED' | 'TRYAGAIN'): Promise<number> {
    const infos = await Promise.all(this.#masters.map(({ node }) => node.info('errorstats')));
    return infos.reduce((sum, info) => {
      const count = new RegExp(`errorstat_${error}:count=(\\d+)`).exec(info)?.[1];
      return sum + Number(count ?? 0);
    }, 0);
  }

  /**
   * Moves a slot to another master as an administrator does: a few keys at a time, while the slot is served.
   *
   * @param betweenKeys - Called after every few keys, and until it says `false` once all have gone.
   * @returns The port of the new master.
   * @see https://redis.io/docs/latest/commands/cluster-setslot/
   */
  async move(slot: number, betweenKeys: () => Promise<boolean>): Promise<number> {
    const source = await this.#owner(slot);
    const target = this.#masters.find((master) => master !== source) as Master;
    await target.node.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source.id);
    await source.node.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target.id);
    for (let goOn = true; goOn; ) {
      const keys = (await source.node.call('CLUSTER', 'GETKEYSINSLOT', slot, 2)) as string[];
      if (keys.length > 0) {
        await source.node.call('MIGRATE', '127.0.0.1', target.port, '', 0, 5_000, 'KEYS', ...keys);
      }
      goOn = (await betweenKeys()) || keys.length > 0;
    }
    for (const { node } of [
      target,
      source,
      ...this.#masters.filter((each) => each !== target && each !== source),
    ]) {
      await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', target.id);
    }
    return target.port;
  }

  /** How many keys of a slot the master on this port has. */
  async keysOn(port: number, slot: number): Promise<number> {
    return Number(await this.#on(port).node.call('CLUSTER', 'COUNTKEYSINSLOT', slot));
  }

  close(): void {
    for (const { node } of this.#masters) node.disconnect();
  }

  get #first(): Observer {
    return (this.#masters[0] as Master).node;
  }

  #on(port: number): Master {
    return this.#masters.find((master) => master.port === port) as Master;
  }

  async #owner(slot: number): Promise<Master> {
    const ranges = (await this.#first.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const range = ranges.find(([from, to]) => from <= slot && slot <= to);
    return this.#on(range?.[2][1] as number);
  }
}

interface Master {
  readonly node: Observer;
  readonly port: number;
  readonly id: string;
}
