import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';

/** A user of a Redis server who may do little. */
export interface RedisUser {
  /** For a client that is this user. */
  readonly url: string;
  /** What the server has refused this user since it was made, a line each. */
  refused(): Promise<readonly string[]>;
  /** Removes the user, with every connection of it. */
  close(): Promise<void>;
}

/** What clients tell the server of themselves when they connect; it is refused without harm. */
const ofThemselves = /setinfo|setname|hello/;

/**
 * Makes a user with these rules and no others. The server, which is the test's own, is emptied: it also forgets which scripts
 * it knew and what it refused before.
 */
export async function redisUser(url: string, rules: readonly string[]): Promise<RedisUser> {
  const admin = new Redis(url, { maxRetriesPerRequest: 1 });
  admin.on('error', () => {});
  const name = `limited-${randomBytes(6).toString('hex')}`;
  await admin.call('ACL', 'SETUSER', name, 'reset', 'on', '>secret', 'resetchannels', '-@all', ...rules);
  await admin.call('ACL', 'LOG', 'RESET');
  await admin.script('FLUSH');
  await admin.flushall();
  return {
    url: url.replace('redis://', `redis://${name}:secret@`),
    async refused() {
      const log = (await admin.call('ACL', 'LOG')) as readonly (readonly unknown[])[];
      const lines = log.map((entry) => entry.map(String).join(' '));
      return lines.filter((line) => line.includes(` ${name} `) && !ofThemselves.test(line));
    },
    async close() {
      await admin.call('ACL', 'DELUSER', name);
      admin.disconnect();
    },
  };
}
