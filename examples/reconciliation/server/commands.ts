import type { TierClock } from '@cachekit/core';
import { clockHeader } from '@cachekit/core/http';
import { invalidations } from '../invalidations.ts';
import { cpfDigits } from '../matching/cpf.ts';
import { confirmPayment, linkPayer } from '../reconciliation.ts';
import { saveSettings, weightsIn } from '../settings.ts';
import { sync } from '../sync.ts';
import type { Desk } from '../wiring.ts';
import { Refusal } from './refusal.ts';
import { membersOf, tenantOf, textIn } from './request.ts';

type Handler = (request: Request) => Promise<Response>;

/** What an office does. Every answer has the clock by which it gets nothing older, from whichever server it asks. */
export function commandRoutes(desk: Desk): Record<string, Handler> {
  const { sql, cache } = desk;
  return {
    'POST /api/settings': async (request) => {
      const tenant = tenantOf(request);
      const weights = weightsIn(membersOf(await request.text()));
      if (weights === undefined) throw new Refusal(400, 'Give every weight as a number from 0 to 100');
      if (!(await saveSettings(sql, tenant, { weights }))) throw new Refusal(404, 'There is no such office');
      return done(await invalidations.apply(cache, 'settingsSaved', { tenant }));
    },
    'POST /api/sync': async (request) => {
      const { clock, ...synced } = await sync(desk, tenantOf(request), 'synced');
      return done(clock, synced);
    },
    'POST /api/reconciliation/confirm': async (request) => {
      const tenant = tenantOf(request);
      const body = membersOf(await request.text());
      const payment = textIn(body, 'payment');
      if (!(await confirmPayment(sql, tenant, payment, textIn(body, 'customer')))) {
        throw new Refusal(404, 'There is no such payment');
      }
      return done(await invalidations.apply(cache, 'reconciliationConfirmed', { tenant }));
    },
    'POST /api/clients/link': async (request) => {
      const tenant = tenantOf(request);
      const body = membersOf(await request.text());
      const cpf = cpfDigits(textIn(body, 'payerCpf'));
      if (cpf === undefined) throw new Refusal(400, 'payerCpf is no CPF');
      if (!(await linkPayer(sql, tenant, cpf, textIn(body, 'customer')))) {
        throw new Refusal(404, 'There is no such office');
      }
      return done(await invalidations.apply(cache, 'clientLinked', { tenant }));
    },
  };
}

/** Carried out; what follows from it may still be under way. */
export function done(clock: TierClock, body: object = {}): Response {
  return Response.json(body, { status: 202, headers: { [clockHeader]: String(clock) } });
}
