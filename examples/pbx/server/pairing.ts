import { randomUUID } from 'node:crypto';
import { type Context, Hono } from 'hono';
import type { NewCode, PairingAnswer } from '../page/api.ts';
import { confirmDevice } from '../pairing.ts';
import type { Switchboard } from '../wiring.ts';
import { knownAccount } from './account.ts';
import { textOf } from './body.ts';
import { limitCodes } from './limit.ts';
import { off } from './off.ts';

/** The side of the device, which belongs to no account yet: it shows a code and asks what became of it. */
export function newDeviceRoutes({ limiter, shared }: Switchboard): Hono {
  const app = new Hono();
  if (!shared) return app.post('/pairing/*', (c) => off(c, 'Pairing'));
  const { pairing } = shared;

  app.post('/pairing/codes', limitCodes(limiter), async (c) => {
    const name = await textOf(c, 'name');
    if (name.length < 1 || name.length > 40)
      return c.json({ error: 'Give a name of 1 to 40 characters' }, 400);
    const { code, secret, expiresAt, intervalMs } = await pairing.create({ pairingId: randomUUID(), name });
    const answer: NewCode = {
      code,
      secret,
      expiresAt: expiresAt.toISOString(),
      intervalSeconds: intervalMs / 1_000,
    };
    return c.json(answer, 201);
  });

  // The token endpoint of RFC 8628: errors are answered with 400.
  app.post('/pairing/token', async (c) => {
    const poll = await pairing.poll(await textOf(c, 'secret'));
    const answer: PairingAnswer = poll.error === undefined ? poll.answer : { error: poll.error };
    return c.json(answer, poll.error === undefined ? 200 : 400);
  });

  return app;
}

/** The side of the person, who has read the code: claims it, sees what it is, and agrees or refuses. */
export function pairingRoutes({ sql, shared }: Switchboard): Hono {
  const app = new Hono();
  if (!shared) return app;
  const { pairing } = shared;
  const over = (c: Context): Response => c.json({ error: 'The code is not yours, or has expired' }, 409);

  app.post('/pairing/claim', async (c) => {
    const claim = await pairing.claim(await textOf(c, 'code'), { by: knownAccount(c.req.raw) });
    if (claim.outcome === 'claimed') return c.json({ name: claim.data.name, expiresAt: claim.expiresAt });
    if (claim.outcome === 'locked') {
      const seconds = Math.ceil(claim.retryAfterMs / 1_000);
      const error = `Too many wrong codes: wait ${seconds} s`;
      return c.json({ error }, 429, { 'Retry-After': String(seconds) });
    }
    if (claim.outcome === 'taken') return c.json({ error: 'Somebody else has used this code' }, 409);
    return c.json({ error: 'No device shows this code' }, 404);
  });

  app.post('/pairing/confirm', async (c) => {
    const paired = await confirmDevice({ sql, pairing }, await textOf(c, 'code'), knownAccount(c.req.raw));
    return paired ? c.json(paired) : over(c);
  });

  app.post('/pairing/deny', async (c) => {
    const denied = await pairing.deny(await textOf(c, 'code'), { by: knownAccount(c.req.raw) });
    return denied ? c.json({ denied }) : over(c);
  });

  return app;
}
