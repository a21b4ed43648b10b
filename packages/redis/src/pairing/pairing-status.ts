import { fromJson } from '../json-value.ts';
import type { LookReply } from '../scripts/pairing-look.ts';

/**
 * Where a pairing stands.
 *
 * | state       | means                                     | next                           |
 * | ----------- | ----------------------------------------- | ------------------------------ |
 * | `pending`   | nobody has used the code                  | `claimed`, `expired`           |
 * | `claimed`   | one has, and nobody else can              | `confirmed`, `denied`, `expired` |
 * | `confirmed` | that one agreed                           | `expired`                      |
 * | `denied`    | that one refused                          | `expired`                      |
 * | `expired`   | it is over, was cancelled, or never was   |                                |
 */
export type PairingStatus<T, R> =
  | { readonly state: 'pending'; readonly data: T; readonly expiresAt: Date }
  | { readonly state: 'claimed' | 'denied'; readonly data: T; readonly by: string; readonly expiresAt: Date }
  | {
      readonly state: 'confirmed';
      readonly data: T;
      readonly by: string;
      readonly answer: R;
      readonly expiresAt: Date;
    }
  | { readonly state: 'expired' };

/**
 * What the token endpoint of RFC 8628 answers: one of its errors until it is decided.
 *
 * @see RFC 8628, section 3.5
 */
export type PairingPoll<T, R> =
  | { readonly error: 'authorization_pending' | 'slow_down' | 'access_denied' | 'expired_token' }
  | { readonly error: undefined; readonly data: T; readonly by: string; readonly answer: R };

export const expired: { readonly state: 'expired' } = { state: 'expired' };

export function statusOf<T, R>(reply: LookReply): PairingStatus<T, R> | 'slow_down' {
  if (reply.length === 0) return expired;
  if (reply.length === 1) return 'slow_down';
  const [state, text, ends, by, answer] = reply;
  const data = fromJson(text) as T;
  const expiresAt = new Date(ends);
  if (state === 'pending') return { state, data, expiresAt };
  if (state === 'confirmed') return { state, data, by, answer: fromJson(answer) as R, expiresAt };
  return { state, data, by, expiresAt };
}

export function pollOf<T, R>(status: PairingStatus<T, R> | 'slow_down'): PairingPoll<T, R> {
  if (status === 'slow_down') return { error: 'slow_down' };
  if (status.state === 'expired') return { error: 'expired_token' };
  if (status.state === 'denied') return { error: 'access_denied' };
  if (status.state !== 'confirmed') return { error: 'authorization_pending' };
  return { error: undefined, data: status.data, by: status.by, answer: status.answer };
}
