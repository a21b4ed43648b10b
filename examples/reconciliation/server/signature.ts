import { createHmac, timingSafeEqual } from 'node:crypto';

/** In it the aggregator says when it sent a webhook, and proves that it did: `t=<seconds>,v1=<hex>`. */
export const signatureHeader = 'X-Bank-Signature';

/** A webhook that was sent longer ago is refused, so that a copy of it is of no use to anybody. */
const longestS = 300;

/** Signs a body as sent at that time, in milliseconds. */
export function signed(body: string, secret: string, at: number): string {
  const seconds = Math.floor(at / 1_000);
  return `t=${seconds},v1=${digest(`${seconds}.${body}`, secret).toString('hex')}`;
}

/** Whether whoever has the secret signed this body lately. */
export function isSigned(header: string | null, body: string, secret: string, now: number): boolean {
  const [, seconds = '', hex = ''] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(header ?? '') ?? [];
  if (seconds === '' || Math.abs(now / 1_000 - Number(seconds)) > longestS) return false;
  return timingSafeEqual(Buffer.from(hex, 'hex'), digest(`${seconds}.${body}`, secret));
}

function digest(text: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(text).digest();
}
