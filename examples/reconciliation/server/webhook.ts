import { tenantOfAccount } from '../accounts.ts';
import { sync } from '../sync.ts';
import type { Desk } from '../wiring.ts';
import { done } from './commands.ts';
import { Refusal } from './refusal.ts';
import { membersOf, textIn } from './request.ts';
import { isSigned, signatureHeader } from './signature.ts';

/** Where the aggregator says that an account has changed. Whose it is says the database, and what has changed the bank. */
export function webhookRoute(desk: Desk): (request: Request) => Promise<Response> {
  return async (request) => {
    const text = await request.text();
    if (!isSigned(request.headers.get(signatureHeader), text, desk.webhookSecret, Date.now())) {
      throw new Refusal(401, 'The signature is wrong or old');
    }
    const tenant = await tenantOfAccount(desk.sql, textIn(membersOf(text), 'account'));
    if (tenant === undefined) throw new Refusal(404, 'There is no such account');
    const { clock, ...synced } = await sync(desk, tenant, 'webhookReceived');
    return done(clock, synced);
  };
}
