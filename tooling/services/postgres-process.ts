import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeDatabaseCluster } from './database-cluster.ts';
import { freePort } from './free-port.ts';
import type { PostgresBinary } from './postgres-binary.ts';
import { postgresUser } from './postgres-user.ts';
import { run } from './run.ts';
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

/** For tests: nothing survives the machine, everything else is as in production; logical decoding is possible. */
const settings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=300',
  'wal_level=logical',
  'fsync=off',
  'full_page_writes=off',
  // Containers often have a /dev/shm too small for parallel queries, and a killed server would leave files there.
  'dynamic_shared_memory_type=mmap',
];

/** Starts a PostgreSQL of `binary`; it takes connections when this resolves. */
export async function startPostgresProcess(binary: PostgresBinary): Promise<PostgresProcess> {
  const user = await postgresUser();
  const folder = temporaryFolder('postgres');
  const data = join(folder.path, 'data');
  const start = (port: number): Promise<Spawned> => {
    const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
    const [command, ...rest] = [...user.prefix, binary.postgres, ...args] as [string, ...string[]];
    return spawnServer({
      command,
      args: rest,
      logFile: join(folder.path, 'log'),
      stopSignal: 'SIGQUIT',
      cwd: '/',
      ...(user.uid !== undefined && { uid: user.uid }),
      ...(user.gid !== undefined && { gid: user.gid }),
    });
  };

  let port = 0;
  let current: Spawned | undefined;
  try {
    if (user.way === 'other') await chmod(folder.path, 0o711);
    await makeDatabaseCluster(binary, user, data);
    for (let attempt = 1; current === undefined; attempt += 1) {
      port = await freePort();
      const started = await start(port);
      if (await waitForPostgres(port, () => started.gone)) current = started;
      else {
        await started.stop();
        if (attempt === 5 || !started.log().includes('already in use')) {
          throw new Error(`${binary.name} did not start on port ${port}:\n${started.log()}`);
        }
      }
    }
  } catch (error) {
    await folder.remove();
    throw error;
  }
  let running: Spawned = current;

  return {
    port,
    get pid() {
      return running.pid;
    },
    async kill(signal) {
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') return running.kill(signal);
      // Sessions are processes of their own sessions, so they are found by their parent.
      for (const pid of [running.pid, ...(await childrenOf(running.pid))]) signalIfThere(pid, signal);
    },
    async restart() {
      await running.stop();
      const deadline = performance.now() + 15_000;
      for (;;) {
        running = await start(port);
        const server = running;
        if (await waitForPostgres(port, () => server.gone)) return;
        await server.stop();
        // Sessions of a killed server hold its memory for a moment longer.
        if (performance.now() > deadline)
          throw new Error(`${binary.name} did not start again:\n${server.log()}`);
        await sleep(50);
      }
    },
    async stop() {
      await running.stop();
      await folder.remove();
    },
  };
}

async function childrenOf(parent: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  const rows = stdout.split('\n').map((row) => row.trim().split(/\s+/).map(Number));
  return rows.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []));
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // A session that ended meanwhile.
  }
}
