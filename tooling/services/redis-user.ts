import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Address } from './address.ts';

/** A user of a Redis server, or of all servers of a cluster, who may do little. */
export interface RedisUser {
  /** For a client that is this user; of several servers the first. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** What the servers have refused this user since it was made, a line each. */
  refused(): Promise<readonly string[]>;
  /** How many connections are this user's now. */
  connections(): Promise<number>;
  /** Removes the user, with every connection of it. */
  close(): Promise<void>;
}

/** What clients tell the server of themselves when they connect; it is refused without harm. */
const ofThemselves = /setinfo|setname|hello/;

const password = 'secret';

/**
 * Makes a user with these rules and no others. The servers, which are the test's own, are emptied: they also forget which
 * scripts they knew and what they refused before.
 *
 * @param servers - The URL of one, or all of a cluster, replicas among them.
 */
export async function redisUser(
  servers: string | readonly Address[],
  rules: readonly string[],
): Promise<RedisUser> {
  const urls =
    typeof servers === 'string' ? [servers] : servers.map(({ host, port }) => `redis://${host}:${port}`);
  const admins = urls.map((url) => new Redis(url, { maxRetriesPerRequest: 1 }));
  const username = `limited-${randomBytes(6).toString('hex')}`;
  await Promise.all(
    admins.map(async (admin) => {
      admin.on('error', () => {});
      const limits = ['reset', 'on', `>${password}`, 'resetchannels', '-@all', ...rules];
      await admin.call('ACL', 'SETUSER', username, ...limits);
      await admin.call('ACL', 'LOG', 'RESET');
      await admin.script('FLUSH');
      if (String(await admin.info('replication')).includes('role:master')) await admin.flushall();
    }),
  );
  return {
    url: (urls[0] as string).replace('redis://', `redis://${username}:${password}@`),
    username,
    password,
    async refused() {
      const logs = await Promise.all(admins.map((admin) => admin.call('ACL', 'LOG')));
      const lines = (logs.flat() as (readonly unknown[])[]).map((entry) => entry.map(String).join(' '));
      return lines.filter((line) => line.includes(` ${username} `) && !ofThemselves.test(line));
    },
    async connections() {
      const lists = await Promise.all(admins.map((admin) => admin.call('CLIENT', 'LIST')));
      return lists.join('').split(`user=${username} `).length - 1;
    },
    async close() {
      await Promise.all(admins.map((admin) => admin.call('ACL', 'DELUSER', username)));
      for (const admin of admins) admin.disconnect();
    },
  };
}
