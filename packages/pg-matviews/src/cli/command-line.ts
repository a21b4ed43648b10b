import { parseArgs } from 'node:util';
import { ConfigurationError, type Duration, durationMs } from '@cachekit/core';

/** What the program can do. */
export const commands = [
  'plan',
  'apply',
  'check',
  'refresh',
  'status',
  'doctor',
  'explain',
  'generate',
] as const;

export type Command = (typeof commands)[number];

/** Options of all commands; which command takes which is said by {@link accepted}. */
export interface CommandLine {
  readonly command: Command;
  /** What stands after the command: names of views, or the format of `generate`. */
  readonly names: readonly string[];
  readonly config: string | undefined;
  readonly json: boolean;
  readonly prune: boolean;
  readonly drift: 'refuse' | 'replace';
  readonly pending: boolean;
  readonly where: readonly string[];
  readonly marked: boolean;
  readonly reconcile: boolean;
  readonly timeoutMs: number;
  readonly role: string | undefined;
  readonly patienceMs: number | undefined;
  readonly ignore: readonly string[];
  readonly out: string | undefined;
}

const options = {
  help: { type: 'boolean', short: 'h' },
  config: { type: 'string', short: 'c' },
  json: { type: 'boolean' },
  prune: { type: 'boolean' },
  drift: { type: 'string' },
  pending: { type: 'boolean' },
  where: { type: 'string', multiple: true },
  marked: { type: 'boolean' },
  reconcile: { type: 'boolean' },
  timeout: { type: 'string' },
  role: { type: 'string' },
  patience: { type: 'string' },
  ignore: { type: 'string', multiple: true },
  out: { type: 'string', short: 'o' },
} as const;

/** Options of a command beside those that all take. */
const accepted: Readonly<Record<Command, readonly (keyof typeof options)[]>> = {
  plan: ['prune', 'drift'],
  apply: ['prune', 'drift'],
  check: ['pending'],
  refresh: ['where', 'marked', 'reconcile', 'timeout'],
  status: [],
  doctor: ['role', 'patience', 'ignore'],
  explain: [],
  generate: ['prune', 'drift', 'out'],
};
const everywhere: readonly string[] = ['help', 'config', 'json'];

/**
 * Reads the command line; `help` if somebody asks for it, or says nothing.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION`
 */
export function readCommandLine(args: readonly string[]): CommandLine | 'help' {
  const { values, positionals } = parsed(args);
  const [command, ...names] = positionals;
  if (values.help === true || command === undefined) return 'help';
  if (!isCommand(command)) {
    throw new ConfigurationError(`There is no command "${command}"; there are ${commands.join(', ')}`);
  }
  const given = Object.keys(values) as (keyof typeof options)[];
  const foreign = given.find((name) => !everywhere.includes(name) && !accepted[command].includes(name));
  if (foreign !== undefined) throw new ConfigurationError(`${command} takes no --${foreign}`);
  const { drift = 'refuse' } = values;
  if (drift !== 'refuse' && drift !== 'replace') {
    throw new ConfigurationError('--drift is "refuse" or "replace"');
  }
  return {
    command,
    names,
    config: values.config,
    json: values.json ?? false,
    prune: values.prune ?? false,
    drift,
    pending: values.pending ?? false,
    where: values.where ?? [],
    marked: values.marked ?? false,
    reconcile: values.reconcile ?? false,
    timeoutMs: timeOf(values.timeout ?? '1h', '--timeout'),
    role: values.role,
    patienceMs: values.patience === undefined ? undefined : timeOf(values.patience, '--patience'),
    ignore: (values.ignore ?? []).flatMap((list) => list.split(',')),
    out: values.out,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new ConfigurationError(error instanceof Error ? error.message : String(error));
  }
}

/** Text is checked here, where its type cannot be known. */
function timeOf(text: string, option: string): number {
  return durationMs(text as Duration, option);
}

function isCommand(word: string): word is Command {
  return (commands as readonly string[]).includes(word);
}
