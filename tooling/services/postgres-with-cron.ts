import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { announce } from './announce.ts';
import { aptUnpack } from './apt-download.ts';
import { cachedFolder } from './cache-folder.ts';
import { distribution } from './distribution.ts';
import { LinkUnavailable } from './link.ts';
import { type Attempt, MissingServiceError } from './missing-service.ts';
import { startPostgresProcess } from './postgres-process.ts';
import { run } from './run.ts';

/** A PostgreSQL whose database `postgres` has the extension pg_cron to be created. */
export interface PostgresWithCron {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL of the distribution with its pg_cron, both unpacked and not installed: PostgreSQL finds its files beside itself.
 *
 * @throws MissingServiceError when they cannot be had, or do not run here.
 */
export async function startPostgresWithCron(): Promise<PostgresWithCron> {
  const tried: Attempt[] = [];
  for (const major of majors()) {
    try {
      const folder = await cachedFolder(`pg-cron-${major}-${distribution()}-${arch()}`, async (draft) => {
        await aptUnpack(draft, [
          `postgresql-${major}`,
          `postgresql-client-${major}`,
          `postgresql-${major}-cron`,
        ]);
        for (const rest of ['apt-lists', 'apt-cache']) await rm(join(draft, rest), { recursive: true });
      });
      const bin = join(folder, 'root/usr/lib/postgresql', String(major), 'bin');
      const postgres = join(bin, 'postgres');
      const ran = await run(postgres, ['--version'], { timeout: 10_000 });
      if (!ran.ok) throw new LinkUnavailable(`${postgres} does not start: ${ran.output}`);
      const name = `PostgreSQL ${/\d+\.\d+/.exec(ran.stdout)?.[0]} with pg_cron`;
      const server = await startPostgresProcess(
        { postgres, initdb: join(bin, 'initdb'), origin: bin, name },
        undefined,
        ['shared_preload_libraries=pg_cron', 'cron.database_name=postgres', 'cron.use_background_workers=on'],
      );
      announce('pg_cron', `${postgres} (${name}, unpacked from its apt packages)`);
      return { url: `postgres://postgres@127.0.0.1:${server.port}/postgres`, stop: server.stop };
    } catch (error) {
      if (!(error instanceof LinkUnavailable)) throw error;
      tried.push({ link: 'download', reason: error.message });
    }
  }
  throw new MissingServiceError('PostgreSQL with pg_cron', tried, [
    'run on Debian or Ubuntu with access to its packages: the extension has to be of the very server it is loaded by',
  ]);
}

/** Those that are installed first: what they need of the machine is there. */
function majors(): number[] {
  let installed: number[] = [];
  try {
    installed = readdirSync('/usr/lib/postgresql').map(Number).filter(Number.isInteger);
  } catch {
    // None is.
  }
  return [...new Set([...installed, 15, 17, 16, 18])];
}
