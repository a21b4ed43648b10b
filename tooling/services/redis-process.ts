import { join } from 'node:path';
import { onFreePort } from './free-port.ts';
import type { RedisBinary } from './redis-binary.ts';
import { type Spawned, spawnServer } from './spawned.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { waitForRedis } from './wait-for-redis.ts';

/** One Redis process on a loopback port in a folder of its own. */
export interface RedisProcess {
  readonly port: number;
  readonly pid: number;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again with the same port, arguments and folder. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Where one process is to run. */
export interface RedisPlace {
  readonly folder: string;
  /** The arguments that say port, address and folder. */
  readonly args: readonly string[];
}

/** The arguments of a server that keeps nothing on disk. */
export const withoutPersistence: readonly string[] = ['--save', '', '--appendonly', 'no'];

const host = '127.0.0.1';

/**
 * Starts one process of `binary`; it answers PING when this resolves.
 *
 * @param argumentsFor - All arguments of the process, those of the place among them. Called once for each port that is
 * tried.
 */
export async function startRedisProcess(
  binary: RedisBinary,
  argumentsFor: (place: RedisPlace) => readonly string[] | Promise<readonly string[]>,
): Promise<RedisProcess> {
  const folder = temporaryFolder('redis');
  let args: readonly string[] = [];
  let port = 0;
  const start = async (): Promise<Spawned> => {
    const server = await spawnServer({
      command: binary.path,
      args,
      env: binary.env,
      cwd: folder.path,
      logFile: join(folder.path, 'log'),
      stopSignal: 'SIGTERM',
    });
    if (await waitForRedis(host, port, () => server.gone)) return server;
    await server.stop();
    throw new Error(`${binary.name} did not start on port ${port}:\n${server.log()}`);
  };

  let server: Spawned;
  try {
    server = await onFreePort('in use', async (free) => {
      port = free;
      const place = ['--port', String(port), '--bind', host, '--dir', folder.path, '--daemonize', 'no'];
      args = await argumentsFor({ folder: folder.path, args: place });
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
    kill: (signal) => server.kill(signal),
    async restart() {
      await server.stop();
      server = await start();
    },
    async stop() {
      await server.stop();
      await folder.remove();
    },
  };
}
