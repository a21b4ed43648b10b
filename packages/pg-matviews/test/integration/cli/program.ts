import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../../src/cli/program.ts';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const fixtures = fileURLToPath(new URL('../../fixtures/cli/', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** The one JSON value that was printed. */
  json<Value>(): Value;
}

/** The program inside this process, which takes no time to start. */
export async function inProcess(args: readonly string[], url: string): Promise<Ended> {
  let out = '';
  let err = '';
  const code = await runProgram({
    arguments: args,
    environment: { DATABASE_URL: url },
    folder: fixtures,
    id: `test ${process.pid}`,
    print: (text) => {
      out += text;
    },
    tell: (text) => {
      err += text;
    },
    terminal: false,
    onInterrupt: () => () => undefined,
  });
  return { code, out, err, json: <Value>() => JSON.parse(out) as Value };
}

/** The program as a user runs it, in a process of its own. */
export function cachekitViews(
  args: readonly string[],
  url: string | undefined,
  running?: (child: ReturnType<typeof spawn>) => void,
): Promise<Ended> {
  const { DATABASE_URL: _, ...environment } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@cachekit/source', main, ...args], {
      cwd: fixtures,
      env: url === undefined ? environment : { ...environment, DATABASE_URL: url },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, out, err, json: <Value>() => JSON.parse(out) as Value });
    });
    running?.(child);
  });
}
