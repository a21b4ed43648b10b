import { createHash } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder } from './cache-folder.ts';
import { LinkUnavailable } from './link.ts';
import type { PostgresBinary } from './postgres-binary.ts';
import type { PostgresUser } from './postgres-user.ts';
import { run } from './run.ts';
import { temporaryFolder } from './temporary-folder.ts';

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
  const identity = createHash('sha256').update(`${binary.origin}\n${binary.name}`).digest('hex').slice(0, 12);
  const name = `cluster-${binary.name.replace(/\W+/g, '-').toLowerCase()}-${identity}`;
  const kept = await cachedFolder(name, (draft) => initialise(binary, user, join(draft, 'data')));
  await copy(join(kept, 'data'), path);
  await give(path, user);
}

/** Runs initdb at `target`; another user can reach the temporary folder only, so its result is brought from there. */
async function initialise(binary: PostgresBinary, user: PostgresUser, target: string): Promise<void> {
  if (user.identity === undefined) {
    await mkdir(target, { mode: 0o700 });
    return initdb(binary, user, target);
  }
  const folder = temporaryFolder('initdb');
  try {
    await chmod(folder.path, 0o711);
    const data = join(folder.path, 'data');
    await mkdir(data, { mode: 0o700 });
    await give(data, user);
    await initdb(binary, user, data);
    await copy(data, target);
  } finally {
    await folder.remove();
  }
}

async function initdb(binary: PostgresBinary, user: PostgresUser, data: string): Promise<void> {
  const common = ['--no-sync', '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '-D', data];
  let output = '';
  // Not every system knows C.UTF-8; C sorts alike and only lacks upper and lower case beyond ASCII.
  for (const locale of ['C.UTF-8', 'C']) {
    const [command = '', ...args] = [...user.prefix, binary.initdb, ...common, `--locale=${locale}`];
    const ran = await run(command, args, { cwd: '/', timeout: 120_000, ...user.identity });
    if (ran.ok) return;
    output = ran.output;
  }
  throw new LinkUnavailable(`${binary.initdb}: ${output.split('\n').slice(-4).join('\n')}`);
}

async function copy(from: string, to: string): Promise<void> {
  const copied = await run('cp', ['-pR', from, to]);
  if (!copied.ok) throw new Error(`The data folder could not be copied: ${copied.output}`);
}

async function give(path: string, user: PostgresUser): Promise<void> {
  if (user.identity === undefined) return;
  const given = await run('chown', ['-R', `${user.identity.uid}:${user.identity.gid}`, path]);
  if (!given.ok) throw new Error(`chown of ${path}: ${given.output}`);
}
