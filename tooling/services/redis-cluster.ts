import type { Address } from './address.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { type Ask, withRedis } from './redis-client.ts';
import { binaryForGroup, startTogether } from './redis-group.ts';
import { type RedisProcess, startRedisProcess, withoutPersistence } from './redis-process.ts';

/** A Redis Cluster of three masters and three replicas on this machine. */
export interface RedisCluster {
  /** All six servers, to be given to a client. */
  readonly nodes: readonly Address[];
  /** The servers that own slots now, as the servers that answer see it. */
  masters(): Promise<Address[]>;
  /** Sends a signal to the server on this port. Resolves when it has ended, or at once for SIGSTOP and SIGCONT. */
  kill(port: number, signal?: NodeJS.Signals): Promise<void>;
  /** Starts the server on this port again; it comes back as a replica when another took its slots. */
  restart(port: number): Promise<void>;
  /** Resolves when another server owns the slots of the one on `port`, and the cluster is settled. Rejects after 20 s. */
  failedOver(port: number): Promise<void>;
  /**
   * Resolves when all 16,384 slots are served, and every server that answers sees it so. A death is seen
   * after 2 s only; until then a cluster counts as settled. Rejects after 20 s.
   */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const masterCount = 3;
const slotCount = 16_384;

/**
 * Starts a Redis Cluster, three masters with a replica each, and waits until it serves all slots.
 *
 * It takes about 2.5 s, because a master waits 2 s before its first write. A dead master is replaced in about 3 s.
 *
 * @throws MissingServiceError when no Redis binary can be had.
 */
export async function startRedisCluster(): Promise<RedisCluster> {
  const binary = await binaryForGroup('Redis Cluster');
  const starts = Array.from({ length: 2 * masterCount }, () =>
    startRedisProcess(binary, async (place) => [
      ...place.args,
      ...withoutPersistence,
      ...['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())],
      ...['--cluster-node-timeout', '2000', '--cluster-replica-validity-factor', '0'],
      ...['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'],
    ]),
  );
  const servers = await startTogether(starts);
  const nodes = servers.map(({ port }) => ({ host, port }));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const serverOn = (port: number): RedisProcess => {
    const server = servers.find((each) => each.port === port);
    if (server === undefined) throw new Error(`No server of this cluster has port ${port}`);
    return server;
  };
  const settled = async (): Promise<void> => {
    await eventually('a Redis Cluster that serves all slots', 20_000, async () => {
      const answers = await Promise.allSettled(nodes.map((node) => withRedis(node, servesAllSlots)));
      const healthy = answers.every((answer) => answer.status === 'rejected' || answer.value);
      const some = answers.some((answer) => answer.status === 'fulfilled');
      return some && healthy ? true : undefined;
    });
  };
  try {
    await join(nodes);
    await settled();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    masters: () => mastersOf(nodes),
    kill: (port, signal = 'SIGKILL') => serverOn(port).kill(signal),
    restart: (port) => serverOn(port).restart(),
    async failedOver(port) {
      await eventually(`another master in place of port ${port}`, 20_000, async () => {
        const masters = await mastersOf(nodes);
        return masters.length === masterCount && masters.every((each) => each.port !== port)
          ? true
          : undefined;
      });
      await settled();
    },
    settled,
    stop,
  };
}

/** One line of CLUSTER NODES. */
interface Member {
  readonly id: string;
  readonly port: number;
  readonly busPort: number;
  readonly flags: readonly string[];
  readonly slots: readonly string[];
}

/** Makes one cluster of servers that do not know each other yet. */
async function join(nodes: readonly Address[]): Promise<void> {
  const selves = await Promise.all(nodes.map((node) => withRedis(node, self)));
  const share = Math.ceil(slotCount / masterCount);
  await Promise.all(
    nodes.map((node, index) =>
      withRedis(node, async (ask) => {
        // Distinct epochs from the start spare the cluster its own search for them. Only who is alone takes one.
        await ask('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
        if (index < masterCount) {
          const last = Math.min((index + 1) * share, slotCount) - 1;
          await ask('CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last));
        }
      }),
    ),
  );
  await Promise.all(
    nodes.map((node, index) =>
      withRedis(node, async (ask) => {
        // Each meets all that come after it, instead of leaving the rest to gossip.
        for (const other of selves.slice(index + 1)) {
          await ask('CLUSTER', 'MEET', host, String(other.port), String(other.busPort));
        }
      }),
    ),
  );
  const replicas = nodes.slice(masterCount);
  await Promise.all(
    replicas.map(async (replica, index) => {
      const master = selves[index] as Member;
      await eventually('a replica that knows its master', 20_000, () =>
        withRedis(replica, (ask) => ask('CLUSTER', 'REPLICATE', master.id)),
      );
      await eventually('a replica that follows its master', 20_000, () => withRedis(replica, linkIsUp));
    }),
  );
}

async function mastersOf(nodes: readonly Address[]): Promise<Address[]> {
  for (const node of nodes) {
    const members = await withRedis(node, membersSeenBy).catch(() => undefined);
    if (members === undefined) continue;
    return members
      .filter(({ flags, slots }) => flags.includes('master') && !flags.includes('fail') && slots.length > 0)
      .map(({ port }) => ({ host, port }));
  }
  throw new Error('No server of the cluster answers');
}

async function self(ask: Ask): Promise<Member> {
  const found = (await membersSeenBy(ask)).find(({ flags }) => flags.includes('myself'));
  if (found === undefined) throw new Error('A cluster node that does not know itself');
  return found;
}

/** Lines such as `07c3… 127.0.0.1:30004@31004 master - 0 1426238317239 4 connected 0-5460`. */
async function membersSeenBy(ask: Ask): Promise<Member[]> {
  const lines = String(await ask('CLUSTER', 'NODES'))
    .trim()
    .split('\n');
  return lines.map((line) => {
    const [id = '', address = '', flags = '', , , , , , ...slots] = line.split(' ');
    const [, port, busPort] = /:(\d+)@(\d+)/.exec(address) ?? [];
    return { id, port: Number(port), busPort: Number(busPort), flags: flags.split(','), slots };
  });
}

async function servesAllSlots(ask: Ask): Promise<boolean> {
  const info = String(await ask('CLUSTER', 'INFO'));
  return (
    info.includes('cluster_state:ok') &&
    info.includes(`cluster_slots_ok:${slotCount}`) &&
    info.includes(`cluster_known_nodes:${2 * masterCount}`)
  );
}

async function linkIsUp(ask: Ask): Promise<true | undefined> {
  return String(await ask('INFO', 'replication')).includes('master_link_status:up') ? true : undefined;
}
