import { ArgumentError } from '@cachekit/core';

/** What would change the connection that all requests share. */
const ofOneConnection =
  /^(?:auth|discard|exec|hello|monitor|multi|[ps]?(?:un)?subscribe|quit|reset|select|(?:un)?watch)$/i;

/** A command as the server takes it, its name in capitals: ioredis reshapes the replies of names it knows in small letters. */
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
  return checked(args.filter((arg) => arg !== ''));
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
  return checked(value.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))));
}

function checked([name = '', ...args]: readonly string[]): Command {
  if (ofOneConnection.test(name)) throw new ArgumentError(`ERR ${name} is not there over REST`);
  return [name.toUpperCase(), ...args];
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new ArgumentError('ERR the body is not JSON');
  }
}
