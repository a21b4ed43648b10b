import { run } from './run.ts';

/** How PostgreSQL, which refuses to be root, is run by the user of this process. */
export interface PostgresUser {
  readonly way: 'self' | 'namespace' | 'other';
  /** Goes in front of every command. */
  readonly prefix: readonly string[];
  /** The user and group to become, when a namespace cannot be had. Files of the server must belong to it. */
  readonly uid?: number;
  readonly gid?: number;
}

const nobody = 65534;
let decided: Promise<PostgresUser> | undefined;

/**
 * Root becomes "nobody": in a user namespace of its own where the kernel allows it (files stay root's, and folders
 * closed to others stay reachable), else by its user id.
 */
export function postgresUser(): Promise<PostgresUser> {
  decided ??= decide();
  return decided;
}

async function decide(): Promise<PostgresUser> {
  if (process.getuid?.() !== 0) return { way: 'self', prefix: [] };
  const namespace = ['unshare', '-U', `--map-user=${nobody}`, `--map-group=${nobody}`];
  const wanted = process.env.CACHEKIT_POSTGRES_USER !== 'other';
  const [command, ...args] = namespace as [string, ...string[]];
  const works = wanted && (await run(command, [...args, 'true'], { timeout: 10_000 })).ok;
  if (works) return { way: 'namespace', prefix: namespace };
  return { way: 'other', prefix: [], uid: nobody, gid: nobody };
}
