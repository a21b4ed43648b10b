import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Duration, RedisExecutor } from '@cachekit/core';
import type { Hub, RealtimeEventInput } from '@cachekit/realtime';
import { createPresence, type Presence, type WakeUp } from '@cachekit/redis';
import { deviceEvent } from './events.ts';

/** Which devices of an account are online: the account is the tenant, each of its devices a member. */
export type DevicePresence = Presence<never>;

/** A device that was not seen for this long has left, whether or not anybody looks. */
const defaultTtl = '5m';

export function devicePresence(
  redis: RedisExecutor,
  wakeUp: WakeUp,
  ttl: Duration = defaultTtl,
): DevicePresence {
  return createPresence<never>({ redis, ttl, wakeUp });
}

/** Tells the browsers of the account of each device that comes or goes, once, whichever process noted it. */
export function announceDevices(
  presence: Pick<DevicePresence, 'onChange'>,
  hub: Pick<Hub, 'publish'>,
  onTrouble: (error: unknown) => void,
): () => void {
  return presence.onChange((change) => {
    if (change.type === 'update') return;
    const { tenant, member: deviceId } = change;
    const event =
      change.type === 'join'
        ? deviceEvent(tenant, 'device.online', { deviceId })
        : deviceEvent(tenant, 'device.offline', { deviceId, reason: change.reason });
    void publishSurely(hub, event, onTrouble);
  });
}

/** Ten seconds in all, twice as long each time: what is longer away than that has lost more than an event. */
const pausesMs = [150, 300, 600, 1_200, 2_400, 4_800];

/**
 * Publishes also if the log does not answer at first: no row says that a device went, so nobody would say it again, and a
 * page would show it as online until it is opened anew. The origin makes one event of several attempts.
 */
async function publishSurely(
  hub: Pick<Hub, 'publish'>,
  event: RealtimeEventInput,
  onTrouble: (error: unknown) => void,
): Promise<void> {
  const named = { ...event, origin: randomUUID() };
  for (const pauseMs of [...pausesMs, undefined]) {
    try {
      await hub.publish([named]);
      return;
    } catch (error) {
      onTrouble(error);
      if (pauseMs !== undefined) await sleep(pauseMs, undefined, { ref: false });
    }
  }
}
