import { minClockOf } from '@cachekit/core/http';
import { keys } from '../keys.ts';
import type { Device } from '../page/api.ts';
import type { Switchboard } from '../wiring.ts';
import { knownAccount } from './account.ts';
import { reads } from './reads.ts';

/** The devices of the account of a request, not older than what the caller has heard of. */
export async function devicesOf({ sql, cache }: Switchboard, request: Request): Promise<Device[]> {
  const account = knownAccount(request);
  const minClock = minClockOf(request.headers);
  const { devices } = await cache.getOrLoad(
    keys.deviceList({ tenant: account }),
    () => reads.deviceList(sql, account),
    minClock === undefined ? {} : { minClock },
  );
  return devices;
}
