import { Hono } from 'hono';
import { endedCalls } from '../call-history.ts';
import { countedNames } from '../live-counters.ts';
import type { EndedCall, LiveCount } from '../page/api.ts';
import { inventPhoneNumber } from '../seed/invent.ts';
import { endCall, writeCall } from '../simulator.ts';
import type { Switchboard } from '../wiring.ts';
import { knownAccount } from './account.ts';
import { devicesOf } from './device-list.ts';
import { limitCalls } from './limit.ts';
import { off } from './off.ts';

const shownCalls = 8;

/** Calls that the page places and ends, how many there were lately, and the last that ended. */
export function callRoutes(switchboard: Switchboard): Hono {
  const { sql, limiter, shared } = switchboard;
  const app = new Hono();

  app.post('/calls', limitCalls(limiter), async (c) => {
    const account = knownAccount(c.req.raw);
    const devices = await devicesOf(switchboard, c.req.raw);
    const device = devices[Math.floor(Math.random() * devices.length)];
    if (!device) return c.json({ error: 'The account has no device' }, 409);
    const callId = await writeCall(sql, { id: device.id, user_id: account }, inventPhoneNumber(Math.random));
    return c.json({ callId }, 201);
  });

  app.post('/calls/:id{[1-9]\\d{0,17}}/end', async (c) => {
    const ended = await endCall(sql, knownAccount(c.req.raw), c.req.param('id'));
    return ended ? c.json({ ended }) : c.json({ error: 'There is no such call, or it is over' }, 404);
  });

  app.get('/counters', async (c) => {
    if (!shared) return off(c, 'Live counters');
    const readings = await shared.counters.readMany(knownAccount(c.req.raw), countedNames);
    const counters: LiveCount[] = countedNames.map((name, index) => ({
      name,
      total: readings[index]?.total ?? 0,
      series: (readings[index]?.series ?? []).map(({ count }) => count),
    }));
    return c.json({ counters });
  });

  app.get('/history', async (c) => {
    if (!shared) return off(c, 'The call history');
    const kept = await shared.history.recent(knownAccount(c.req.raw), endedCalls, shownCalls);
    const calls: EndedCall[] = kept.map(({ value, at }) => ({ ...value, at: at.toISOString() }));
    return c.json({ calls });
  });

  return app;
}
