import { chmod, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { announce } from './announce.ts';
import { aptProgram } from './apt-program.ts';
import { cachedFolder } from './cache-folder.ts';
import { distribution } from './distribution.ts';
import { findOnPath } from './find-executable.ts';
import { freePort } from './free-port.ts';
import { LinkUnavailable } from './link.ts';
import { MissingServiceError } from './missing-service.ts';
import { postgresUser } from './postgres-user.ts';
import { run } from './run.ts';
import { spawnServer } from './spawned.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { waitForPostgres } from './wait-for-postgres.ts';

/** A PgBouncer in front of a server, in transaction mode. */
export interface PgBouncer {
  /** The address of a database of the server, by way of the pooler. */
  url(databaseUrl: string): string;
  stop(): Promise<void>;
}

/**
 * Starts a PgBouncer in transaction mode with few connections, as the superuser of the server: that on PATH, else the Debian
 * package, unpacked and not installed.
 *
 * @throws MissingServiceError when there is none; its message says what was tried.
 */
export async function startPgBouncer(serverUrl: string): Promise<PgBouncer> {
  const server = new URL(serverUrl);
  const { path, env } = await binary();
  const folder = temporaryFolder('pgbouncer');
  await chmod(folder.path, 0o755);
  const port = await freePort();
  const config = join(folder.path, 'pgbouncer.ini');
  const target = [
    `host=${server.hostname}`,
    `port=${server.port || 5432}`,
    `user=${server.username}`,
    ...(server.password === '' ? [] : [`password=${server.password}`]),
  ];
  await writeFile(
    config,
    `[databases]
* = ${target.join(' ')}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
ignore_startup_parameters = extra_float_digits,options
`,
    { mode: 0o644 },
  );
  const user = await postgresUser();
  const [command = '', ...args] = [...user.prefix, path, config];
  const spawned = await spawnServer({
    command,
    args,
    env,
    logFile: join(folder.path, 'log'),
    stopSignal: 'SIGQUIT',
    cwd: '/',
    ...user.identity,
  });
  if (!(await waitForPostgres('127.0.0.1', port, () => spawned.gone))) {
    await spawned.stop();
    throw new Error(`PgBouncer did not start:\n${spawned.log()}`);
  }
  return {
    url(databaseUrl) {
      const url = new URL(databaseUrl);
      url.host = `127.0.0.1:${port}`;
      return url.href;
    },
    async stop() {
      await spawned.stop();
      await folder.remove();
    },
  };
}

async function binary(): Promise<{ path: string; env: NodeJS.ProcessEnv }> {
  const installed = findOnPath('pgbouncer');
  if (installed !== undefined) return { path: installed, env: process.env };
  try {
    const folder = await cachedFolder(`pgbouncer-${distribution()}-${arch()}`, (draft) =>
      aptProgram(draft, ['pgbouncer'], 'pgbouncer', ['usr/sbin/pgbouncer', 'usr/bin/pgbouncer']),
    );
    const path = join(folder, 'pgbouncer');
    const env = { ...process.env, LD_LIBRARY_PATH: join(folder, 'lib') };
    const ran = await run(path, ['--version'], { env, timeout: 10_000 });
    if (!ran.ok) throw new LinkUnavailable(`${path} does not start: ${ran.output}`);
    announce('PgBouncer', `${path} (${ran.stdout.split('\n')[0]}, unpacked from its apt package)`);
    return { path, env };
  } catch (error) {
    if (!(error instanceof LinkUnavailable)) throw error;
    throw new MissingServiceError(
      'PgBouncer',
      [
        { link: 'path', reason: 'pgbouncer is not on PATH' },
        { link: 'download', reason: error.message },
      ],
      ['install PgBouncer (Debian, Ubuntu: apt install pgbouncer; macOS: brew install pgbouncer)'],
    );
  }
}
