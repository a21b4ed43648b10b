import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** A database of its own on a shared server. */
export interface FreshDatabase {
  readonly url: string;
  readonly name: string;
  /** Drops it, when all sessions in it have ended or its patience has. */
  drop(): Promise<void>;
}

/** Options of {@link createDatabase}. */
export interface CreateDatabaseOptions {
  /** The database that is copied; empty (`template1`) unless told. Nobody may be connected to it. */
  readonly template?: string;
  /** Milliseconds for sessions to end by themselves before it is dropped and ends them by force; 10,000 unless told. */
  readonly patience?: number;
}

/**
 * Creates a database with a name of its own on the server of `postgresUrl`, which must be of a user that may.
 *
 * @example
 * const seeded = await createDatabase(postgresUrl, { template: 'pbx_seeded' });
 */
export async function createDatabase(
  postgresUrl: string,
  options: CreateDatabaseOptions = {},
): Promise<FreshDatabase> {
  const name = `cachekit_${randomBytes(6).toString('hex')}`;
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  const template = pg.escapeIdentifier(options.template ?? 'template1');
  const { patience = 10_000 } = options;
  await administrate(postgresUrl, `create database ${name} template ${template}`);
  return {
    url: url.href,
    name,
    drop: () =>
      administrate(postgresUrl, `drop database if exists ${name} with (force)`, (client) =>
        untilLeft(client, name, patience),
      ),
  };
}

/** A pool says that it has ended before its connections have; one that is ended by force then fails its process. */
async function untilLeft(client: pg.Client, database: string, patience: number): Promise<void> {
  const deadline = performance.now() + patience;
  const sessions = 'select from pg_stat_activity where datname = $1';
  while ((await client.query(sessions, [database])).rowCount !== 0 && performance.now() < deadline) {
    await sleep(10);
  }
}

/** `object_in_use`: a session of the template's last user is still closing. */
const inUse = '55006';

async function administrate(
  url: string,
  statement: string,
  before?: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    await before?.(client);
    const deadline = performance.now() + 10_000;
    for (;;) {
      try {
        await client.query(statement);
        return;
      } catch (error) {
        if ((error as { code?: unknown }).code !== inUse || performance.now() > deadline) throw error;
        await sleep(50);
      }
    }
  } finally {
    await client.end();
  }
}
