import type { RedisExecutor } from '@cachekit/core';
import { createPresence } from '@cachekit/redis';

/** Which devices of an account have been seen in the last five minutes. */
export interface OnlineDevices {
  seen(account: string, device: string): Promise<unknown>;
  online(account: string): Promise<readonly string[]>;
}

const ttlMs = 300_000;

/** Kept in Redis for all processes, or, without Redis, in the only one there is. */
export function onlineDevices(redis: RedisExecutor | undefined): OnlineDevices {
  return redis ? createPresence({ redis, ttl: ttlMs }) : inThisProcess();
}

function inThisProcess(): OnlineDevices {
  const lastSeen = new Map<string, Map<string, number>>();
  return {
    async seen(account, device) {
      const devices = lastSeen.get(account) ?? new Map<string, number>();
      lastSeen.set(account, devices.set(device, Date.now()));
    },
    async online(account) {
      const now = Date.now();
      return [...(lastSeen.get(account) ?? [])]
        .filter(([, at]) => now - at < ttlMs)
        .map(([device]) => device);
    },
  };
}
