import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from './child-processes.ts';
import { makeDatabaseCluster } from './database-cluster.ts';
import { onFreePort } from './free-port.ts';
import type { PostgresBinary } from './postgres-binary.ts';
import { postgresSettings } from './postgres-settings.ts';
import { type PostgresUser, postgresUser } from './postgres-user.ts';
import { reachableInstallation } from './reachable-installation.ts';
import { type Spawned, spawnServer } from './spawned.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { waitForPostgres } from './wait-for-postgres.ts';

/** One PostgreSQL on a loopback port with fresh data in a folder of its own. */
export interface PostgresProcess {
  readonly port: number;
  readonly pid: number;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const settings = [...postgresSettings, `listen_addresses=${host}`, 'unix_socket_directories='];

/**
 * Starts a PostgreSQL of `installation`; it takes connections when this resolves.
 *
 * @param more - Settings beside those of all tests, as `name=value`.
 */
export async function startPostgresProcess(
  installation: PostgresBinary,
  asUser?: PostgresUser,
  more: readonly string[] = [],
): Promise<PostgresProcess> {
  const user = asUser ?? (await postgresUser());
  const binary = await reachableInstallation(installation, user);
  const folder = temporaryFolder('postgres');
  const data = join(folder.path, 'data');
  let port = 0;
  let frozen: readonly number[] = [];

  const start = async (): Promise<Spawned> => {
    const args = [
      '-D',
      data,
      '-p',
      String(port),
      ...[...settings, ...more].flatMap((setting) => ['-c', setting]),
    ];
    const [command = '', ...rest] = [...user.prefix, binary.postgres, ...args];
    const server = await spawnServer({
      command,
      args: rest,
      logFile: join(folder.path, 'log'),
      stopSignal: 'SIGQUIT',
      cwd: '/',
      ...user.identity,
    });
    if (await waitForPostgres(host, port, () => server.gone)) return server;
    await server.stop();
    throw new Error(`${binary.name} did not start on port ${port}:\n${server.log()}`);
  };
  const thaw = (): void => {
    for (const pid of frozen) signalIfThere(pid, 'SIGCONT');
    frozen = [];
  };

  let server: Spawned;
  try {
    if (user.identity !== undefined) await chmod(folder.path, 0o711);
    await makeDatabaseCluster(binary, user, data);
    server = await onFreePort('Address already in use', (free) => {
      port = free;
      return start();
    });
  } catch (error) {
    await folder.remove();
    throw error;
  }

  return {
    port,
    get pid() {
      return server.pid;
    },
    async kill(signal) {
      if (signal === 'SIGCONT') {
        await server.kill(signal);
        return thaw();
      }
      if (signal === 'SIGSTOP') {
        await server.kill(signal);
        frozen = await childrenOf(server.pid);
        for (const pid of frozen) signalIfThere(pid, signal);
        return;
      }
      const ended = server.kill(signal);
      // Frozen sessions could not follow their server.
      thaw();
      await ended;
    },
    async restart() {
      thaw();
      await server.stop();
      const deadline = performance.now() + 15_000;
      for (;;) {
        try {
          server = await start();
          return;
        } catch (error) {
          // The sessions of a killed server hold on to its port and memory for a moment.
          if (performance.now() > deadline) throw error;
          await sleep(50);
        }
      }
    },
    async stop() {
      thaw();
      await server.stop();
      await folder.remove();
    },
  };
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}
