import { type Clock, ConfigurationError, type SqlExecutor } from '@cachekit/core';
import type { CommandLine } from '../command-line.ts';
import type { ViewsConfig } from '../config.ts';
import type { ExitCode, Host } from '../host.ts';
import type { Progress } from '../progress.ts';

/** What a command is given. */
export interface Work {
  readonly host: Host;
  readonly line: CommandLine;
  readonly clock: Clock;
  readonly config: ViewsConfig;
  readonly progress: Progress;
  readonly sql: SqlExecutor;
}

/** One command. */
export type Run = (work: Work) => Promise<ExitCode>;

/** Prints a result: as one JSON value, or as text. */
export function print({ host, line }: Work, value: unknown, text: () => string): void {
  host.print(line.json ? `${JSON.stringify(value)}\n` : text());
}

/** Kinds of views that are refreshed. */
export const storedKinds: readonly string[] = ['materialized', 'rollup'];

/**
 * The views that were named, or all of these kinds.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION`
 */
export function namedViews({ line, config }: Work, kinds: readonly string[]): readonly string[] {
  const known = config.views.filter(({ kind }) => kinds.includes(kind)).map(({ name }) => name);
  const unknown = line.names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new ConfigurationError(`There is no view "${unknown}" to ${line.command} in ${config.path}`);
  }
  return line.names.length === 0 ? known : line.names;
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function takesNoNames({ line }: Work): void {
  if (line.names.length > 0) {
    throw new ConfigurationError(`${line.command} takes no names; got ${line.names.join(' ')}`);
  }
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` if nothing was ever applied to the database. */
export async function assertApplied({ sql }: Work): Promise<void> {
  const { rows } = await sql.query<{ applied: boolean }>(
    `SELECT to_regclass('cachekit.view') IS NOT NULL AS applied`,
  );
  if (rows[0]?.applied !== true) {
    throw new ConfigurationError(
      'No views were ever applied to this database; run `cachekit-views apply` first',
    );
  }
}
