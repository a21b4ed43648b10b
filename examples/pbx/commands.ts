import { type LockProvider, type RedisExecutor, withLock } from '@cachekit/core';
import type { Hub } from '@cachekit/realtime';
import { createLists, type Lists } from '@cachekit/redis';
import { deviceEvent } from './events.ts';
import type { CommandName, SentCommand } from './page/api.ts';

export type CommandLog = Lists<SentCommand>;

/** The last twenty commands of each device, for a day. */
export function commandLog(redis: RedisExecutor): CommandLog {
  return createLists<SentCommand>({ redis, ttl: '24h', length: 20 });
}

export const commandsOf = (deviceId: string): readonly string[] => ['commands', deviceId];

interface CommandParts {
  locks: LockProvider;
  hub: Pick<Hub, 'publish'>;
  /** Without one nothing is kept of what was sent. */
  log: CommandLog | undefined;
}

/**
 * Sends a command to a device, under the lock of that device: whatever the number of servers, they send one command at a
 * time, and the log has them in the order in which the device gets them.
 *
 * @returns Nothing if others were sending for all of two seconds.
 */
export async function sendCommand(
  { locks, hub, log }: CommandParts,
  account: string,
  deviceId: string,
  command: CommandName,
): Promise<SentCommand | undefined> {
  const done = await withLock(
    locks,
    `device:${account}:${deviceId}`,
    { ttl: '5s', wait: '2s' },
    async ({ fencingToken }) => {
      const sent = { command, fencingToken };
      await hub.publish([deviceEvent(account, 'device.command', { deviceId, ...sent })]);
      await log?.append(account, commandsOf(deviceId), sent);
      return sent;
    },
  );
  return done.acquired ? done.value : undefined;
}
