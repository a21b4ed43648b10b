import { Redis } from 'ioredis';

/** A user of a Redis server who may do little. */
export interface RedisUser {
  /** For a client that is this user. */
  readonly url: string;
  /** What the server has refused this user since it was made, a line each. */
  refused(): Promise<readonly string[]>;
  /** Ends the connection that asks. */
  close(): void;
}

/** What clients tell the server of themselves when they connect; it is refused without harm. */
const ofThemselves = /setinfo|setname|hello/;

/** Makes a user with these rules and no others, and forgets what was refused before and which scripts were known. */
export async function redisUser(url: string, rules: readonly string[]): Promise<RedisUser> {
  const admin = new Redis(url, { maxRetriesPerRequest: 1 });
  admin.on('error', () => {});
  await admin.call('ACL', 'SETUSER', 'limited', 'reset', 'on', '>secret', 'resetchannels', '-@all', ...rules);
  await admin.call('ACL', 'LOG', 'RESET');
  await admin.script('FLUSH');
  return {
    url: url.replace('redis://', 'redis://limited:secret@'),
    async refused() {
      const log = (await admin.call('ACL', 'LOG')) as readonly (readonly unknown[])[];
      return log.map((entry) => entry.map(String).join(' ')).filter((line) => !ofThemselves.test(line));
    },
    close: () => admin.disconnect(),
  };
}
