import type { RedisExecutor, SqlExecutor } from '@cachekit/core';
import { createPairing, type Pairing, type WakeUp } from '@cachekit/redis';
import type { PairedDevice } from './page/api.ts';

/** What is known of a device that asks for a code. */
interface NewDevice {
  pairingId: string;
  name: string;
}

export type DevicePairing = Pairing<NewDevice, PairedDevice>;

/** A code lives for ten minutes; the device may ask once a second what became of it. */
export function devicePairing(redis: RedisExecutor, wakeUp: WakeUp): DevicePairing {
  return createPairing<NewDevice, PairedDevice>({ redis, ttl: '600s', interval: '1s', wakeUp });
}

/**
 * Agrees to the device that the account has claimed, and makes it one of the account's: both or neither.
 *
 * @returns Nothing if the code is not the account's to agree to, or no longer, or there is no such account.
 */
export async function confirmDevice(
  { sql, pairing }: { sql: SqlExecutor; pairing: DevicePairing },
  code: string,
  account: string,
): Promise<PairedDevice | undefined> {
  const claim = await pairing.claim(code, { by: account });
  if (claim.outcome !== 'claimed') return undefined;
  const { pairingId, name } = claim.data;
  const over = new Error('The pairing has ended');
  try {
    return await sql.transaction(async (transaction) => {
      // The same device again for who agrees twice; the assignment is there for the id to be returned.
      const { rows } = await transaction.query<{ id: string }>(
        `insert into devices (user_id, name, pairing_id) select users.id, $2, $3::uuid from users where users.id = $1
         on conflict (pairing_id) do update set name = excluded.name returning id::text`,
        [account, name, pairingId],
      );
      const [device] = rows;
      if (device === undefined) throw over;
      const answer = { account, deviceId: device.id };
      if (await pairing.confirm(code, { by: account, answer })) return answer;
      throw over;
    });
  } catch (error) {
    if (error === over) return undefined;
    throw error;
  }
}
