import { type Context, Hono } from 'hono';
import { commandsOf, sendCommand } from '../commands.ts';
import { type CommandName, commandNames, type DevicesOnline } from '../page/api.ts';
import type { Switchboard } from '../wiring.ts';
import { knownAccount } from './account.ts';
import { textOf } from './body.ts';
import { devicesOf } from './device-list.ts';
import { limitCommands } from './limit.ts';
import { off } from './off.ts';

const device = ':id{[1-9]\\d{0,17}}';

/** Who is online, and the commands that are sent to devices. */
export function deviceRoutes(switchboard: Switchboard): Hono {
  const { limiter, locks, hub, shared } = switchboard;
  const app = new Hono();

  const owns = async (c: Context): Promise<boolean> => {
    const id = c.req.param('id');
    return (await devicesOf(switchboard, c.req.raw)).some((one) => one.id === id);
  };
  const unknown = (c: Context): Response => c.json({ error: 'The account has no such device' }, 404);

  app.get('/presence', async (c) => {
    if (!shared) return off(c, 'Presence');
    const account = knownAccount(c.req.raw);
    const devices = await devicesOf(switchboard, c.req.raw);
    // Without an answer of Redis nobody knows who is online, and the rest of the page does not depend on it.
    const online = await shared.presence.online(account).catch(() => undefined);
    const here = new Set(online);
    const answer: DevicesOnline = {
      online: online === undefined ? null : devices.filter(({ id }) => here.has(id)).length,
      devices: devices.map((one) => ({ ...one, online: here.has(one.id) })),
    };
    return c.json(answer);
  });

  // The heartbeat of a device, and its goodbye.
  app.put(`/devices/${device}/presence`, async (c) => {
    if (!shared) return off(c, 'Presence');
    if (!(await owns(c))) return unknown(c);
    const came = await shared.presence.seen(knownAccount(c.req.raw), c.req.param('id'));
    return c.json({ came });
  });
  app.delete(`/devices/${device}/presence`, async (c) => {
    if (!shared) return off(c, 'Presence');
    return c.json({ left: await shared.presence.leave(knownAccount(c.req.raw), c.req.param('id')) });
  });

  app.post(`/devices/${device}/commands`, limitCommands(limiter), async (c) => {
    const command = await textOf(c, 'command');
    if (!isCommand(command)) return c.json({ error: `Give a command: ${commandNames.join(', ')}` }, 400);
    if (!(await owns(c))) return unknown(c);
    const parts = { locks, hub, log: shared?.commands };
    const sent = await sendCommand(parts, knownAccount(c.req.raw), c.req.param('id'), command);
    return sent ? c.json(sent, 202) : c.json({ error: 'Other commands are being sent to this device' }, 409);
  });
  app.get(`/devices/${device}/commands`, async (c) => {
    if (!shared) return off(c, 'The log of commands');
    const kept = await shared.commands.recent(knownAccount(c.req.raw), commandsOf(c.req.param('id')));
    return c.json({ commands: kept.map(({ value, at }) => ({ ...value, at })) });
  });

  return app;
}

function isCommand(command: string): command is CommandName {
  return commandNames.some((name) => name === command);
}
