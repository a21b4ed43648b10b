import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import type { RedisBinary } from './redis-binary.ts';
import { type Spawned, spawnServer } from './spawned.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** One Redis process on a loopback port, without persistence, in a folder of its own. */
export interface RedisProcess {
  readonly port: number;
  readonly pid: number;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What a Redis process is started with. */
export interface RedisProcessOptions {
  readonly args?: readonly string[];
  /** A free port is taken when it is left out. */
  readonly port?: number;
  /** The first arguments from the process's own folder, such as a configuration file that the server rewrites. */
  readonly prepare?: (folder: string) => Promise<readonly string[]>;
}

/** Milliseconds for a server to answer; far above what a start needs, because machines are busy. */
const patience = 15_000;

/** Starts one process of `binary`; it answers PING when this resolves. */
export async function startRedisProcess(
  binary: RedisBinary,
  options: RedisProcessOptions = {},
): Promise<RedisProcess> {
  const folder = temporaryFolder('redis');
  const prepared = (await options.prepare?.(folder.path)) ?? [];
  const start = (port: number): Promise<Spawned> =>
    spawnServer({
      command: binary.path,
      args: [
        ...prepared,
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder.path, '--daemonize', 'no'],
        ...(options.prepare === undefined ? ['--save', '', '--appendonly', 'no'] : []),
        ...(options.args ?? []),
      ],
      env: binary.env,
      logFile: join(folder.path, 'log'),
      stopSignal: 'SIGTERM',
    });

  let port = 0;
  let current: Spawned | undefined;
  try {
    for (let attempt = 1; current === undefined; attempt += 1) {
      port = options.port ?? (await freePort());
      const started = await start(port);
      if (await answers(started, port)) current = started;
      else if (attempt === 5 || options.port !== undefined || !started.log().includes('in use')) {
        throw new Error(`${binary.name} did not start on port ${port}:\n${started.log()}`);
      }
    }
  } catch (error) {
    await folder.remove();
    throw error;
  }
  let process_: Spawned = current;

  return {
    port,
    get pid() {
      return process_.pid;
    },
    kill: (signal) => process_.kill(signal),
    async restart() {
      await process_.stop();
      process_ = await start(port);
      if (!(await answers(process_, port))) {
        throw new Error(`${binary.name} did not start again on port ${port}:\n${process_.log()}`);
      }
    },
    async stop() {
      await process_.stop();
      await folder.remove();
    },
  };
}

/** Waits for an answer to PING; false when the process ended instead. */
async function answers(server: Spawned, port: number): Promise<boolean> {
  const deadline = performance.now() + patience;
  while (performance.now() < deadline) {
    if (server.gone) return false;
    if (await pong(port)) return !server.gone;
    await sleep(10);
  }
  await server.stop();
  return false;
}

/** Whether a server at the port takes commands; a refusal for want of a password counts. */
function pong(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => end(/^(\+PONG|-NOAUTH)/.test(data.toString())));
  });
}
