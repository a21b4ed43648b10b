import { existsSync } from 'node:fs';
import { chmod, cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { findOnPath } from '../../find-executable.ts';
import { freePort } from '../../free-port.ts';
import { MissingServiceError, type PostgresServer, startPostgres, startRedis } from '../../index.ts';
import { embeddedPostgres, installedPostgres } from '../../postgres-binary.ts';
import { otherUser } from '../../postgres-user.ts';
import { downloadedRedis, installedRedis } from '../../redis-binary.ts';

beforeEach(() => {
  vi.stubEnv('REDIS_URL', '');
  vi.stubEnv('DATABASE_URL', '');
  vi.stubEnv('CACHEKIT_REDIS_SERVER', '');
  vi.stubEnv('CACHEKIT_POSTGRES_VERSION', '');
});

afterEach(() => {
  vi.unstubAllEnvs();
});

async function ping(url: string): Promise<string> {
  const client = new Redis(url, { retryStrategy: () => null });
  try {
    return await client.ping();
  } finally {
    client.disconnect();
  }
}

async function setting(url: string, name: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query('select current_setting($1) as value', [name])).rows[0]?.value;
  } finally {
    await client.end();
  }
}

async function refusal(start: Promise<unknown>): Promise<Error> {
  const error = await start.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

describe('env', () => {
  test('REDIS_URL is used as it is, and never killed or stopped', async () => {
    vi.stubEnv('CACHEKIT_SERVICES', 'env');
    vi.stubEnv('REDIS_URL', inject('redisUrl'));
    const redis = await startRedis();
    expect(redis).toMatchObject({ link: 'env', url: inject('redisUrl'), pid: undefined });
    await expect(redis.kill('SIGKILL')).rejects.toThrow('startRedis({ own: true })');
    await expect(redis.restart()).rejects.toThrow('not ours to kill');
    await redis.stop();
    expect(await ping(redis.url)).toBe('PONG');
  });

  test('DATABASE_URL is used as it is, and never killed or stopped', async () => {
    vi.stubEnv('CACHEKIT_SERVICES', 'env');
    vi.stubEnv('DATABASE_URL', inject('postgresUrl'));
    const postgres = await startPostgres();
    expect(postgres).toMatchObject({ link: 'env', url: inject('postgresUrl'), pid: undefined });
    await expect(postgres.kill('SIGKILL')).rejects.toThrow('startPostgres({ own: true })');
    await postgres.stop();
    expect(await setting(postgres.url, 'server_version_num')).toMatch(/^\d+$/);
  });

  test('an address at which nothing answers is an error, never a silent change to another server', async () => {
    const port = await freePort();
    vi.stubEnv('CACHEKIT_SERVICES', '');
    vi.stubEnv('REDIS_URL', `redis://:secret@127.0.0.1:${port}`);
    vi.stubEnv('DATABASE_URL', `postgres://me:secret@127.0.0.1:${port}/x`);
    for (const start of [startRedis, startPostgres]) {
      const { message } = await refusal(start());
      expect(message).toMatch(/^(REDIS_URL|DATABASE_URL) is set, but no (Redis|PostgreSQL) answers at /);
      expect(message).toContain(String(port));
      expect(message).not.toContain('secret');
    }
  });

  test('whoever needs a server of its own is not given the shared one', async () => {
    vi.stubEnv('CACHEKIT_SERVICES', 'env');
    vi.stubEnv('REDIS_URL', inject('redisUrl'));
    expect(await refusal(startRedis({ own: true }))).toBeInstanceOf(MissingServiceError);
    expect(await refusal(startRedis({ args: ['--maxmemory', '10mb'] }))).toBeInstanceOf(MissingServiceError);
  });
});

describe('path', () => {
  test('a valkey-server on PATH serves as Redis; one that is too old is refused by its version', async () => {
    const { path, env } = await installedRedis().catch(downloadedRedis);
    const folder = await mkdtemp(join(tmpdir(), 'cachekit-path-test-'));
    const program = async (name: string, body: string): Promise<void> => {
      await writeFile(join(folder, name), `#!/bin/sh\n${body}\n`);
      await chmod(join(folder, name), 0o755);
    };
    try {
      vi.stubEnv('CACHEKIT_SERVICES', 'path');
      vi.stubEnv('PATH', [folder, '/usr/bin', '/bin'].join(delimiter));
      await program(
        'redis-server',
        'echo "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64 build=0"',
      );
      if (findOnPath('valkey-server') === undefined) {
        const { message } = await refusal(startRedis());
        expect(message).toContain(`${join(folder, 'redis-server')} is Redis 6.2.14; 7 or newer is needed`);
      }
      await program('valkey-server', `LD_LIBRARY_PATH='${env.LD_LIBRARY_PATH ?? ''}' exec '${path}' "$@"`);
      const redis = await startRedis();
      expect(redis.link).toBe('path');
      expect(await ping(redis.url)).toBe('PONG');
      await redis.stop();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('an installation on PATH is found through its links, and answers only on the loopback', async () => {
    const { initdb } = await installedPostgres().catch(embeddedPostgres);
    const folder = await mkdtemp(join(tmpdir(), 'cachekit-path-test-'));
    try {
      await symlink(initdb, join(folder, 'initdb'));
      vi.stubEnv('CACHEKIT_SERVICES', 'path');
      vi.stubEnv('PATH', [folder, '/usr/bin', '/bin'].join(delimiter));
      const postgres = await startPostgres();
      expect(postgres.link).toBe('path');
      expect(await setting(postgres.url, 'listen_addresses')).toBe('127.0.0.1');
      expect(await setting(postgres.url, 'unix_socket_directories')).toBe('');
      await postgres.stop();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('what packages install beside PATH is found too', async () => {
    vi.stubEnv('PATH', '/nowhere');
    const found = await installedPostgres().catch((error: unknown) => error);
    if (existsSync('/usr/lib/postgresql'))
      expect(found).toMatchObject({ name: expect.stringMatching(/^PostgreSQL \d/) });
    else
      expect(found).toMatchObject({
        message: expect.stringContaining('no initdb and postgres on PATH or under'),
      });
  });
});

if (process.getuid?.() === 0) {
  test('root without user namespaces runs PostgreSQL as another user, even from a folder closed to others', async () => {
    const home = await mkdtemp(join(tmpdir(), 'cachekit-other-user-'));
    try {
      vi.stubEnv('XDG_CACHE_HOME', join(home, 'cache'));
      vi.resetModules();
      const { startPostgresProcess } = await import('../../postgres-process.ts');
      const found = await embeddedPostgres();
      await cp(join(found.origin, '..'), join(home, 'native'), { recursive: true, verbatimSymlinks: true });
      const origin = join(home, 'native', 'bin');
      const closed = { ...found, origin, postgres: join(origin, 'postgres'), initdb: join(origin, 'initdb') };
      const postgres = await startPostgresProcess(closed, otherUser);
      const url = `postgres://postgres@127.0.0.1:${postgres.port}/postgres`;
      expect(await setting(url, 'wal_level')).toBe('logical');
      await postgres.restart();
      expect(await setting(url, 'wal_level')).toBe('logical');
      await postgres.stop();
    } finally {
      await rm(home, { recursive: true });
    }
  });
}

describe('embedded', () => {
  let postgres: PostgresServer | undefined;
  afterEach(() => postgres?.stop());

  test('the binaries of the npm package are a full PostgreSQL', async () => {
    vi.stubEnv('CACHEKIT_SERVICES', 'embedded');
    postgres = await startPostgres();
    expect(postgres.link).toBe('embedded');
    expect(await setting(postgres.url, 'wal_level')).toBe('logical');
    expect(Number(await setting(postgres.url, 'server_version_num'))).toBeGreaterThanOrEqual(180_000);
  });
});

describe('download', () => {
  if (findOnPath('apt-get') !== undefined) {
    test('on Debian and Ubuntu Redis comes from its package without being installed', async () => {
      vi.stubEnv('CACHEKIT_SERVICES', 'download');
      const redis = await startRedis({ args: ['--maxmemory', '10mb'] });
      expect(redis.link).toBe('download');
      const client = new Redis(redis.url);
      expect(await client.config('GET', 'maxmemory')).toEqual(['maxmemory', '10485760']);
      expect(await client.config('GET', 'save')).toEqual(['save', '']);
      client.disconnect();
      await redis.stop();
    });
  }

  test('elsewhere the message says that this way is for Debian and Ubuntu', async () => {
    const home = await mkdtemp(join(tmpdir(), 'cachekit-no-apt-'));
    try {
      vi.stubEnv('CACHEKIT_SERVICES', 'download');
      vi.stubEnv('XDG_CACHE_HOME', home);
      vi.stubEnv('PATH', home);
      vi.resetModules();
      const fresh = await import('../../index.ts');
      const { name, message } = await refusal(fresh.startRedis());
      expect(name).toBe('MissingServiceError');
      expect(message).toContain('this way is for Debian and Ubuntu only');
      expect(message).toContain('apt install redis-server; macOS: brew install redis');
    } finally {
      await rm(home, { recursive: true });
    }
  });
});

describe('CACHEKIT_POSTGRES_VERSION', () => {
  test('each way passes over a server of another version', async () => {
    const { name } = await embeddedPostgres();
    vi.stubEnv('CACHEKIT_POSTGRES_VERSION', '16');
    vi.stubEnv('CACHEKIT_SERVICES', 'embedded');
    const { message } = await refusal(startPostgres());
    expect(message).toContain(`is ${name}; CACHEKIT_POSTGRES_VERSION asks for 16`);
  });

  test('a version that is not supported is an error that names those that are', async () => {
    vi.stubEnv('CACHEKIT_POSTGRES_VERSION', '14');
    const { message } = await refusal(startPostgres());
    expect(message).toBe('CACHEKIT_POSTGRES_VERSION is one of 15, 16, 17, 18; got 14');
  });

  if (process.env.CACHEKIT_LONG) {
    test.each(['15', '16', '17', '18'])(
      'PostgreSQL %s comes from npm where nothing else has it',
      async (version) => {
        vi.stubEnv('CACHEKIT_POSTGRES_VERSION', version);
        vi.stubEnv('CACHEKIT_SERVICES', 'download');
        const postgres = await startPostgres();
        expect(postgres.link).toBe('download');
        expect(await setting(postgres.url, 'server_version')).toMatch(new RegExp(`^${version}\\.`));
        await postgres.stop();
      },
    );
  }
});

describe('when all is refused', () => {
  test('the message names every link with its reason, and what helps', async () => {
    vi.stubEnv('CACHEKIT_SERVICES', 'env');
    const error = await refusal(startPostgres());
    expect(error).toBeInstanceOf(MissingServiceError);
    expect((error as MissingServiceError).tried.map(({ link }) => link)).toEqual([
      'env',
      'path',
      'docker',
      'embedded',
      'download',
    ]);
    expect(error.message).toContain('No PostgreSQL could be started');
    expect(error.message).toContain('env       DATABASE_URL is not set');
    expect(error.message).toContain('path      left out by CACHEKIT_SERVICES=env');
    expect(error.message).toContain('apt install postgresql');
  });
});
