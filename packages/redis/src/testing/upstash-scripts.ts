import { createHash } from 'node:crypto';
import type { Command } from './upstash-request.ts';

/** A flag of scripts that Upstash knows and Redis refuses. */
const flag = 'allow-key-locking';
const shebang = /^#!lua flags=([a-z,-]+)(?=\n|$)/;

/** Makes scripts that were written for Upstash run on Redis, where they have another digest. */
export class UpstashScripts {
  readonly #digests = new Map<string, string>();

  /** The command as Redis takes it. */
  translate(command: Command): Command {
    const [name, script = '', ...rest] = command;
    if (name === 'EVAL' || name === 'EVAL_RO') return [name, this.#stripped(script), ...rest];
    if (name === 'SCRIPT' && script.toUpperCase() === 'LOAD') {
      return [name, script, ...rest.map((each) => this.#stripped(each))];
    }
    if (name === 'EVALSHA' || name === 'EVALSHA_RO')
      return [name, this.#digests.get(script) ?? script, ...rest];
    return command;
  }

  #stripped(script: string): string {
    const flags = shebang.exec(script)?.[1]?.split(',') ?? [];
    if (!flags.includes(flag)) return script;
    const others = flags.filter((each) => each !== flag);
    const line = others.length === 0 ? '#!lua' : `#!lua flags=${others.join(',')}`;
    const stripped = script.replace(shebang, line);
    this.#digests.set(digestOf(script), digestOf(stripped));
    return stripped;
  }
}

function digestOf(script: string): string {
  return createHash('sha1').update(script).digest('hex');
}
