import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { forgetProcess, readyGuard, watchProcess } from './guard.ts';

/** How one server process is started. */
export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Its standard output and errors are appended here. */
  readonly logFile: string;
  /** What asks this kind of server to end at once and cleanly. */
  readonly stopSignal: 'SIGTERM' | 'SIGQUIT';
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** One server process, known by its own id. */
export interface Spawned {
  readonly pid: number;
  /** Whether the process is gone and reaped. */
  readonly gone: boolean;
  /** Sends one signal; waits for the end of the process unless the signal only freezes or wakes it. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Ends the process by its stop signal, or by SIGKILL when it has not gone within 10 s. */
  stop(): Promise<void>;
  /** The end of the log, for a message about a failed start. */
  log(): string;
}

const survivable: readonly NodeJS.Signals[] = [
  'SIGSTOP',
  'SIGCONT',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
];

/**
 * Starts a server in its own session, watched by the guard from its first moment.
 *
 * It does not keep this process alive: a script that forgets `stop()` ends, and the guard ends the server.
 *
 * @throws Error when the binary cannot be started at all.
 */
export async function spawnServer(options: SpawnOptions): Promise<Spawned> {
  readyGuard();
  const log = openSync(options.logFile, 'a');
  let child: ChildProcess;
  try {
    child = spawn(options.command, options.args, {
      stdio: ['ignore', log, log],
      detached: true,
      ...(options.env !== undefined && { env: options.env }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(options.uid !== undefined && { uid: options.uid }),
      ...(options.gid !== undefined && { gid: options.gid }),
    });
  } finally {
    closeSync(log);
  }
  const { pid } = child;
  if (pid === undefined) {
    const cause = await new Promise((resolve) => child.once('error', resolve));
    throw new Error(`Cannot start ${options.command}`, { cause });
  }
  const stopSignal = options.stopSignal.slice(3);
  watchProcess(pid, stopSignal);
  child.unref();

  let gone = false;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      gone = true;
      forgetProcess(pid, stopSignal);
      resolve();
    });
  });
  const goneWithin = async (ms: number): Promise<boolean> => {
    const patience = new AbortController();
    await Promise.race([exited, sleep(ms, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    return gone;
  };

  return {
    pid,
    get gone() {
      return gone;
    },
    async kill(signal) {
      if (gone) return;
      process.kill(pid, signal);
      if (survivable.includes(signal)) return;
      if (!(await goneWithin(10_000))) throw new Error(`Process ${pid} did not end within 10 s of ${signal}`);
    },
    async stop() {
      if (gone) return;
      process.kill(pid, options.stopSignal);
      process.kill(pid, 'SIGCONT');
      if (await goneWithin(10_000)) return;
      process.kill(pid, 'SIGKILL');
      await goneWithin(10_000);
    },
    log: () => logTail(options.logFile),
  };
}

function logTail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
  } catch {
    return '';
  }
}
