import type { Duration, RedisExecutor } from '@cachekit/core';
import type { Hub } from '@cachekit/realtime';
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
  presence: DevicePresence,
  hub: Hub,
  onTrouble: (error: unknown) => void,
): () => void {
  return presence.onChange((change) => {
    if (change.type === 'update') return;
    const { tenant, member: deviceId } = change;
    const event =
      change.type === 'join'
        ? deviceEvent(tenant, 'device.online', { deviceId })
        : deviceEvent(tenant, 'device.offline', { deviceId, reason: change.reason });
    hub.publish([event]).catch(onTrouble);
  });
}
