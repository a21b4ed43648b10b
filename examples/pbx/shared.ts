import type { Duration, RedisExecutor } from '@cachekit/core';
import type { Counters, WakeUp } from '@cachekit/redis';
import { type CallHistory, callHistory } from './call-history.ts';
import { type CommandLog, commandLog } from './commands.ts';
import { liveCounters } from './live-counters.ts';
import { type DevicePairing, devicePairing } from './pairing.ts';
import { type DevicePresence, devicePresence } from './presence.ts';

/** What all processes share by way of Redis. Without Redis these parts are off: nothing stands in for them. */
export interface Shared {
  presence: DevicePresence;
  pairing: DevicePairing;
  counters: Counters;
  history: CallHistory;
  commands: CommandLog;
}

/** What is off without Redis, in words. */
export const sharedParts = 'pairing, presence, live counters, call history';

/** How those who wait hear of what they wait for. */
export function wakeUpOver({ capabilities }: RedisExecutor): WakeUp {
  return capabilities.subscribe ? 'pubsub' : 'poll';
}

export function shareBy(redis: RedisExecutor, deviceTtl?: Duration): Shared {
  return {
    presence: devicePresence(redis, wakeUpOver(redis), deviceTtl),
    pairing: devicePairing(redis, wakeUpOver(redis)),
    counters: liveCounters(redis),
    history: callHistory(redis),
    commands: commandLog(redis),
  };
}
