import type { ChangeEvent, RedisExecutor, Stage } from '@cachekit/core';
import { createLists, type Lists } from '@cachekit/redis';
import type { EndedCall } from './page/api.ts';

/** A call that is over; when it ended is the list's to say. */
type KeptCall = Omit<EndedCall, 'at'>;

export type CallHistory = Lists<KeptCall>;

export const endedCalls = 'ended-calls';

/** The last fifty calls of each account that ended, for a day: read without asking PostgreSQL. */
export function callHistory(redis: RedisExecutor): CallHistory {
  return createLists<KeptCall>({ redis, ttl: '24h', length: 50 });
}

/** Appends calls as they end, in the order of their commits; what cannot be appended holds nothing up. */
export function keepEndedCalls(history: CallHistory, onTrouble: (error: unknown) => void): Stage {
  return async (batch) => {
    try {
      for (const change of batch) {
        const ended = endedCall(change);
        if (ended && change.tenant !== undefined) await history.append(change.tenant, endedCalls, ended);
      }
    } catch (error) {
      onTrouble(error);
    }
  };
}

function endedCall({ table, operation, key, old, new: call }: ChangeEvent): KeptCall | undefined {
  if (table !== 'calls' || operation !== 'update' || !call || old?.status === call.status) return undefined;
  const { status } = call;
  if (status !== 'completed' && status !== 'failed') return undefined;
  return {
    id: String(key.id),
    phoneNumber: String(call.phone_number),
    status,
    durationSeconds: typeof call.duration === 'number' ? call.duration : null,
  };
}
