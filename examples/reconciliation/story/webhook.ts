import { signatureHeader, signed } from '../server/signature.ts';
import type { Question } from './server.ts';

/** What the aggregator sends when an account has changed. */
export function webhookFor(account: string, secret: string): Question {
  const body = JSON.stringify({ account });
  return { body, headers: { [signatureHeader]: signed(body, secret, Date.now()) } };
}
