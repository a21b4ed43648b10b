import { run } from './run.ts';

/** How PostgreSQL, which refuses to be root, is run by the user of this process. */
export interface PostgresUser {
  /** Goes in front of every command. */
  readonly prefix: readonly string[];
  /** The user and group to become. The server's files must belong to it, in folders that it can reach. */
  readonly identity?: { readonly uid: number; readonly gid: number };
}

const nobody = 65534;

/** "nobody" by its user id: for a root that may not make user namespaces, as in most containers. */
export const otherUser: PostgresUser = { prefix: [], identity: { uid: nobody, gid: nobody } };

let decided: Promise<PostgresUser> | undefined;

/**
 * Root becomes "nobody" in a user namespace where the kernel allows it, since files then stay root's and folders that
 * are closed to others stay reachable; else by its user id. Everybody else stays who they are.
 */
export function postgresUser(): Promise<PostgresUser> {
  decided ??= decide();
  return decided;
}

async function decide(): Promise<PostgresUser> {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const flags = ['-U', `--map-user=${nobody}`, `--map-group=${nobody}`];
  const { ok } = await run('unshare', [...flags, 'true'], { timeout: 10_000 });
  return ok ? { prefix: ['unshare', ...flags] } : otherUser;
}
