import { chmod } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { PostgresBinary } from './postgres-binary.ts';
import type { PostgresUser } from './postgres-user.ts';
import { run } from './run.ts';
import { temporaryFolder } from './temporary-folder.ts';

const copies = new Map<string, Promise<PostgresBinary>>();

/**
 * The installation as `user` can run it: where it is, or a copy in the temporary folder when it lies in a folder that
 * is closed to that user, such as a clone in root's home. The copy lasts as long as this process.
 */
export async function reachableInstallation(
  binary: PostgresBinary,
  user: PostgresUser,
): Promise<PostgresBinary> {
  if (user.identity === undefined) return binary;
  const reached = await run(binary.postgres, ['--version'], { cwd: '/', ...user.identity });
  if (reached.ok) return binary;
  const copied = copies.get(binary.origin) ?? copy(binary);
  copies.set(binary.origin, copied);
  return copied;
}

async function copy(binary: PostgresBinary): Promise<PostgresBinary> {
  const bin = dirname(binary.postgres);
  const folder = temporaryFolder('installation');
  await chmod(folder.path, 0o711);
  const root = join(folder.path, 'installation');
  const copied = await run('cp', ['-R', dirname(bin), root]);
  if (!copied.ok) throw new Error(`${dirname(bin)} could not be copied: ${copied.output}`);
  const inCopy = (path: string): string => join(root, basename(bin), basename(path));
  return { ...binary, postgres: inCopy(binary.postgres), initdb: inCopy(binary.initdb) };
}
