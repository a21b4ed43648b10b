import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Address } from './address.ts';
import { eventually } from './eventually.ts';
import type { RedisBinary } from './redis-binary.ts';
import { type Ask, withRedis } from './redis-client.ts';
import { binaryForGroup, startTogether } from './redis-group.ts';
import { type RedisProcess, startRedisProcess, withoutPersistence } from './redis-process.ts';

/** A master, a replica and three sentinels that watch them, all on this machine. */
export interface RedisSentinel {
  /** The name under which the sentinels know the master. */
  readonly name: string;
  readonly sentinels: readonly Address[];
  /** The two servers with data, in the order in which they were started: the first master, the first replica. */
  readonly servers: readonly Address[];
  /** The master on which the sentinels agree. */
  master(): Promise<Address>;
  /** Kills the master and gives its address. It does not wait for the failover: {@link promoted} does. */
  killMaster(signal?: NodeJS.Signals): Promise<Address>;
  /** Resolves with the new master when the sentinels agree on one other than `former`. Rejects after 20 s. */
  promoted(former: Address): Promise<Address>;
  /** Starts the server on this port again; some 10 s later the sentinels make a former master a replica. */
  restart(port: number): Promise<void>;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const name = 'main';
const sentinelCount = 3;

/**
 * Starts a master, a replica and three sentinels, and waits until all know each other, which takes about 2 s.
 *
 * A killed master is replaced in about 2 s: the sentinels call it dead after 1 s of silence.
 *
 * @throws MissingServiceError when no Redis binary can be had.
 */
export async function startSentinel(): Promise<RedisSentinel> {
  const binary = await binaryForGroup('Redis Sentinel');
  const processes: RedisProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((server) => server.stop()));
  };
  const data = (more: readonly string[]): Promise<RedisProcess> =>
    startRedisProcess(binary, ({ args }) => [
      ...args,
      ...withoutPersistence,
      ...['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'],
      ...more,
    ]);
  try {
    const first = await data([]);
    processes.push(first);
    const second = await data(['--replicaof', host, String(first.port)]);
    processes.push(second);
    const watchers = Array.from({ length: sentinelCount }, () => startWatcher(binary, first.port));
    const sentinels = await startTogether(watchers);
    processes.push(...sentinels);

    const addresses = sentinels.map(({ port }) => ({ host, port }));
    await eventually('a replica that follows its master', 20_000, () =>
      withRedis({ host, port: second.port }, linkIsUp),
    );
    await Promise.all(
      addresses.map((address) =>
        eventually('sentinels that know each other', 20_000, () => withRedis(address, knowsAll)),
      ),
    );
    const agreed = (accept: (master: Address) => boolean): Promise<Address> =>
      eventually('a master on which the sentinels agree', 20_000, async () => {
        const views = await Promise.all(addresses.map((address) => withRedis(address, masterSeenBy)));
        const [view] = views;
        const same = view !== undefined && views.every(({ port }) => port === view.port);
        return same && accept(view) ? view : undefined;
      });
    return {
      name,
      sentinels: addresses,
      servers: [first, second].map(({ port }) => ({ host, port })),
      master: () => agreed(() => true),
      async killMaster(signal = 'SIGKILL') {
        const master = await agreed(() => true);
        await serverOn(processes, master.port).kill(signal);
        return master;
      },
      async promoted(former) {
        const master = await agreed(({ port }) => port !== former.port);
        await eventually('a promoted replica', 20_000, () => withRedis(master, isMaster));
        return master;
      },
      restart: (port) => serverOn(processes, port).restart(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A sentinel rewrites its configuration file, so each has one of its own, which a restart must not write anew. */
function startWatcher(binary: RedisBinary, masterPort: number): Promise<RedisProcess> {
  return startRedisProcess(binary, async ({ folder, args }) => {
    const file = join(folder, 'sentinel.conf');
    const lines = [
      `sentinel monitor ${name} ${host} ${masterPort} 2`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 3000`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    return [file, '--sentinel', ...args];
  });
}

function serverOn(processes: readonly RedisProcess[], port: number): RedisProcess {
  const server = processes.find((each) => each.port === port);
  if (server === undefined) throw new Error(`No server of this group has port ${port}`);
  return server;
}

async function masterSeenBy(ask: Ask): Promise<Address> {
  const reply = await ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name);
  if (!Array.isArray(reply)) throw new Error('A sentinel that knows no master');
  return { host: String(reply[0]), port: Number(reply[1]) };
}

async function knowsAll(ask: Ask): Promise<true | undefined> {
  const reply = await ask('SENTINEL', 'MASTER', name);
  if (!Array.isArray(reply)) return undefined;
  const field = (key: string): string => String(reply[reply.indexOf(key) + 1]);
  const peers = Number(field('num-other-sentinels')) === sentinelCount - 1;
  return peers && field('num-slaves') === '1' && field('flags') === 'master' ? true : undefined;
}

async function linkIsUp(ask: Ask): Promise<true | undefined> {
  return String(await ask('INFO', 'replication')).includes('master_link_status:up') ? true : undefined;
}

async function isMaster(ask: Ask): Promise<true | undefined> {
  return String(await ask('INFO', 'replication')).includes('role:master') ? true : undefined;
}
