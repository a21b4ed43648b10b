import { type Clock, isCacheKitError, systemClock } from '@cachekit/core';
import { type Command, type CommandLine, readCommandLine } from './command-line.ts';
import { apply, check, plan } from './commands/apply.ts';
import { doctor, explain } from './commands/doctor.ts';
import { generate } from './commands/generate.ts';
import { refresh } from './commands/refresh.ts';
import { status } from './commands/status.ts';
import type { Run, Work } from './commands/work.ts';
import { loadConfig } from './config.ts';
import { connect } from './connection.ts';
import { help } from './help.ts';
import type { ExitCode, Host } from './host.ts';
import { Progress } from './progress.ts';

const runs: Readonly<Record<Command, Run>> = {
  plan,
  apply,
  check,
  refresh,
  status,
  doctor,
  explain,
  generate,
};

/** Does what the command line says. Never rejects: what goes wrong is told, and is the exit code. */
export async function runProgram(host: Host, clock: Clock = systemClock): Promise<ExitCode> {
  try {
    const line = readCommandLine(host.arguments);
    if (line === 'help') {
      host.print(help);
      return 0;
    }
    return await connected(host, line, clock);
  } catch (error) {
    const message = messageOf(error);
    if (host.arguments.includes('--json')) {
      const code = (error as { code?: unknown } | null)?.code ?? null;
      host.print(`${JSON.stringify({ error: { code, message } })}\n`);
    } else {
      host.tell(`${message}\n`);
    }
    return exitCodeOf(error);
  }
}

async function connected(host: Host, line: CommandLine, clock: Clock): Promise<ExitCode> {
  const config = await loadConfig(host.folder, line.config);
  const connection = connect(host, config.path);
  const progress = new Progress(host, clock);
  const forget = host.onInterrupt(() => {
    // The statement then fails, and so does the command.
    connection.cancel().catch(() => undefined);
  });
  const work: Work = { host, line, clock, config, progress, sql: progress.watch(connection.sql) };
  try {
    return await runs[line.command](work);
  } finally {
    progress.end();
    forget();
    await connection.close();
  }
}

function exitCodeOf(error: unknown): ExitCode {
  if (isCacheKitError(error, 'VIEW_DRIFT')) return 1;
  const wrongInput = [
    'INVALID_CONFIGURATION',
    'INVALID_ARGUMENT',
    'LAYER_VIOLATION',
    'MISSING_UNIQUE_INDEX',
  ] as const;
  return wrongInput.some((code) => isCacheKitError(error, code)) ? 2 : 3;
}

/** A connection that no address accepts is an error of several, without words of its own. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map((one) => messageOf(one)).join('; ');
  return error instanceof Error ? error.message : String(error);
}
