import { execFile } from 'node:child_process';

/** What a short program printed and how it ended. */
export interface Ran {
  readonly ok: boolean;
  readonly stdout: string;
  /** Both streams, for a message. */
  readonly output: string;
}

/** Settings of {@link run}. */
export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Milliseconds after which the program is ended; 60,000 unless told. */
  readonly timeout?: number;
}

/** Runs a short program to its end. Never rejects: a program that is not there has `ok: false`. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const settings = { timeout: 60_000, maxBuffer: 16 * 1024 * 1024, ...options };
    const child = execFile(command, args, settings, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`.trim();
      resolve({
        ok: error === null,
        stdout,
        output: output === '' && error !== null ? error.message : output,
      });
    });
    child.stdin?.end();
  });
}
