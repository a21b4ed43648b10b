import { ArgumentError } from '@cachekit/core';

/** A command as the server takes it. */
export type Command = readonly [name: string, ...args: string[]];

/**
 * The command of a request: in the path, with the body as its last argument, or as an array in the body.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if there is none.
 */
export function commandOfPath(url: URL, body: string): Command {
  const path = url.pathname.split('/').filter((part) => part !== '');
  if (path.length === 0) return commandOf(parsed(body));
  const options = [...url.searchParams].filter(([name]) => name !== '_token').flat();
  const args = [...path.map(decodeURIComponent), ...(body === '' ? [] : [body]), ...options];
  return args.filter((arg) => arg !== '') as unknown as Command;
}

/**
 * The commands of a pipeline or a transaction.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if one of them is none.
 */
export function commandsOf(body: string): readonly Command[] {
  const commands = parsed(body);
  if (!Array.isArray(commands)) throw new ArgumentError('ERR the body is no array of commands');
  return commands.map(commandOf);
}

function commandOf(value: unknown): Command {
  if (!Array.isArray(value) || typeof value[0] !== 'string' || value[0] === '') {
    throw new ArgumentError('ERR a command is an array that begins with its name');
  }
  return value.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))) as unknown as Command;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new ArgumentError('ERR the body is not JSON');
  }
}
