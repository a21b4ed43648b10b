import type { DevicesOnline, NewCode, PairedDevice, PairingAnswer, SentCommand } from '../page/api.ts';
import type { DoLink } from './links.ts';
import { bodyOf, type Visitor } from './visitor.ts';

/** Brings a device to the account by a code: it asks, a person reads the code and agrees. @returns Its id. */
export async function pairOneDevice({ ask }: Visitor, link: DoLink): Promise<string> {
  const shown = await link('device shows a code', async () => {
    const name = `Desk phone ${Date.now() % 10_000}`;
    const shown = bodyOf(await ask<NewCode>('POST', '/api/pairing/codes', { body: { name } }), 201);
    const { error } = bodyOf(await poll(shown), 400) as { error: string };
    if (error !== 'authorization_pending') throw new Error(`the device was told ${error}`);
    return { seen: `${shown.code}, and the device is told ${error}`, value: shown };
  });
  const askedAt = performance.now();

  await link('person agrees', async () => {
    const body = { code: shown.code };
    const { name } = bodyOf(await ask<{ name: string }>('POST', '/api/pairing/claim', { body }), 200);
    bodyOf(await ask<PairedDevice>('POST', '/api/pairing/confirm', { body }), 200);
    return { seen: `"${name}" is claimed, then confirmed`, value: undefined };
  });

  return link('device is told', async () => {
    // Who asks again too early is told to slow down.
    await pause(shown.intervalSeconds * 1_000 + 20 - (performance.now() - askedAt));
    const { deviceId } = bodyOf(await poll(shown), 200) as PairedDevice;
    return { seen: `it is device ${deviceId} of the account`, value: deviceId };
  });

  function poll({ secret }: NewCode) {
    return ask<PairingAnswer>('POST', '/api/pairing/token', { body: { secret } });
  }
}

/** A device is seen, and everybody who looks at the account is told. */
export async function comeOnline({ ask, heard }: Visitor, link: DoLink, deviceId: string): Promise<void> {
  await link('device comes online', async () => {
    bodyOf(await ask('PUT', `/api/devices/${deviceId}/presence`), 200);
    const { id } = await heard((event) => event.type === 'device.online' && event.data.deviceId === deviceId);
    const { devices, online } = bodyOf(await ask<DevicesOnline>('GET', '/api/presence'), 200);
    if (!devices.some((device) => device.id === deviceId && device.online))
      throw new Error(`device ${deviceId} is not in the list of those online`);
    return { seen: `device.online, id ${id}; ${online} of ${devices.length} online`, value: undefined };
  });
}

/** A device says goodbye. */
export async function goOffline({ ask, heard }: Visitor, link: DoLink, deviceId: string): Promise<void> {
  await link('device leaves', async () => {
    bodyOf(await ask('DELETE', `/api/devices/${deviceId}/presence`), 200);
    const left = await heard(({ type, data }) => type === 'device.offline' && data.deviceId === deviceId);
    const { reason } = left.data as { reason: string };
    return { seen: `device.offline, reason "${reason}"`, value: undefined };
  });
}

/** Ten commands of a minute reach the device, each with a greater token than the one before; the eleventh is refused. */
export async function commandDevice({ ask, heard }: Visitor, link: DoLink, deviceId: string): Promise<void> {
  const send = () =>
    ask<SentCommand>('POST', `/api/devices/${deviceId}/commands`, { body: { command: 'ring' } });

  const first = await link('command is sent', async () => {
    const { fencingToken } = bodyOf(await send(), 202);
    await heard(({ type, data }) => type === 'device.command' && data.fencingToken === fencingToken);
    return { seen: `device.command, token ${fencingToken}`, value: fencingToken };
  });

  await link('limit is hit', async () => {
    let last = first;
    for (let sent = 2; sent <= 10; sent++) {
      const { fencingToken } = bodyOf(await send(), 202);
      if (fencingToken <= last) throw new Error(`token ${fencingToken} came after ${last}`);
      last = fencingToken;
    }
    const { status, headers } = await send();
    if (status !== 429) throw new Error(`eleven commands passed a limit of ten: ${status}`);
    return { seen: `11th command: 429, Retry-After ${headers.get('Retry-After')} s`, value: undefined };
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
