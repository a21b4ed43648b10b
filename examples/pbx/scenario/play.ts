import type { Device, DevicePerformance, Parts } from '../page/api.ts';
import { createChain, type DoLink, type Link } from './links.ts';
import { lookAfter } from './look-after.ts';
import { endOneCall } from './one-call.ts';
import { comeOnline, commandDevice, goOffline, pairOneDevice } from './one-device.ts';
import { followOneRow } from './one-row.ts';
import { bodyOf, createVisitor, type Visitor } from './visitor.ts';

/**
 * Follows one committed row and one device through the running server, as a browser without a screen would.
 *
 * @param origin - Address of the server.
 * @param account - Whose call and device it is.
 * @param deadlineMs - How long one link may take.
 * @returns What was seen at each link; parts that are off without Redis are said to be off.
 * @throws BrokenLinkError at the first link that fails or takes longer.
 */
export async function playScenario(
  origin: string,
  account: string,
  deadlineMs = 15_000,
): Promise<readonly Link[]> {
  const { links, link } = createChain(deadlineMs);
  const visitor = createVisitor(origin, account);
  try {
    await link('stream opens', async () => {
      await visitor.listen();
      return { seen: 'client is live', value: undefined };
    });
    const callId = await followOneRow(visitor, link);
    const { redis } = bodyOf(await visitor.ask<Parts>('GET', '/api/parts'), 200);
    if (redis) {
      await endOneCall(visitor, link, callId);
      const deviceId = await pairOneDevice(visitor, link);
      await comeOnline(visitor, link, deviceId);
      await commandDevice(visitor, link, deviceId);
      await goOffline(visitor, link, deviceId);
    } else {
      await saidToBeOff(visitor, link);
      await commandDevice(visitor, link, await anyDevice(visitor));
    }
    await lookAfter(visitor, link);
    return links;
  } finally {
    visitor.leave();
  }
}

/** Without Redis every part that needs it says so. */
async function saidToBeOff({ ask }: Visitor, link: DoLink): Promise<void> {
  const parts = [
    ['live counters', 'GET', '/api/counters'],
    ['call history', 'GET', '/api/history'],
    ['pairing', 'POST', '/api/pairing/codes'],
    ['presence', 'GET', '/api/presence'],
  ] as const;
  for (const [name, method, path] of parts) {
    await link(name, async () => {
      bodyOf(await ask(method, path), 501);
      return { seen: 'off: needs Redis, and says so (501)', value: undefined };
    });
  }
}

async function anyDevice({ ask }: Visitor): Promise<Device['id']> {
  const { devices } = bodyOf(await ask<{ devices: DevicePerformance[] }>('GET', '/api/devices'), 200);
  const [device] = devices;
  if (!device) throw new Error('The account has no device');
  return device.deviceId;
}
