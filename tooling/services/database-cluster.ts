import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder } from './cache-folder.ts';
import { LinkUnavailable } from './link.ts';
import type { PostgresBinary } from './postgres-binary.ts';
import type { PostgresUser } from './postgres-user.ts';
import { run } from './run.ts';

/**
 * Makes a fresh data folder at `path`. initdb takes more than a second, so its result is kept in the user's cache
 * folder for each installation, and copied.
 *
 * @throws LinkUnavailable when initdb cannot run here.
 */
export async function makeDatabaseCluster(
  binary: PostgresBinary,
  user: PostgresUser,
  path: string,
): Promise<void> {
  const identity = createHash('sha256')
    .update(`${binary.postgres}\n${binary.name}`)
    .digest('hex')
    .slice(0, 12);
  const name = `cluster-${binary.name.replace(/\W+/g, '-').toLowerCase()}-${identity}`;
  let whole: string;
  try {
    whole = await cachedFolder(name, (folder) => initialise(binary, user, join(folder, 'data')));
  } catch (error) {
    if (error instanceof LinkUnavailable) throw error;
    // The cache folder cannot be written: slower, but no reason to fail.
    return initialise(binary, user, path);
  }
  const copied = await run('cp', ['-pR', join(whole, 'data'), path]);
  if (!copied.ok) throw new Error(`The database cluster could not be copied: ${copied.output}`);
  await own(path, user);
}

async function initialise(binary: PostgresBinary, user: PostgresUser, path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  await own(path, user);
  const common = ['--no-sync', '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '-D', path];
  let output = '';
  // Not every system knows C.UTF-8; C sorts alike and only lacks upper and lower case beyond ASCII.
  for (const locale of ['C.UTF-8', 'C']) {
    const [command, ...args] = [...user.prefix, binary.initdb, ...common, `--locale=${locale}`] as [string];
    const { uid, gid } = user;
    const identity = uid !== undefined && gid !== undefined ? { uid, gid } : {};
    const ran = await run(command, args, { cwd: '/', timeout: 120_000, ...identity });
    if (ran.ok) return;
    output = ran.output;
  }
  throw new LinkUnavailable(`${binary.initdb}: ${output.split('\n').slice(-4).join('\n')}`);
}

async function own(path: string, user: PostgresUser): Promise<void> {
  if (user.uid === undefined) return;
  const owned = await run('chown', ['-R', `${user.uid}:${user.gid}`, path]);
  if (!owned.ok) throw new Error(`chown of ${path}: ${owned.output}`);
}
