import type { EndedCall, LiveCount } from '../page/api.ts';
import type { DoLink } from './links.ts';
import { bodyOf, type Visitor } from './visitor.ts';

/** The calls of the last ten minutes that were placed. */
async function placed({ ask }: Visitor): Promise<number> {
  const { counters } = bodyOf(await ask<{ counters: LiveCount[] }>('GET', '/api/counters'), 200);
  return counters.find(({ name }) => name === 'placed')?.total ?? 0;
}

/** A call that was placed is counted, and stands in the history when it has ended. */
export async function endOneCall(visitor: Visitor, link: DoLink, callId: string): Promise<void> {
  const { ask, heard } = visitor;
  await link('call is counted', async () => {
    // Counted before its event was told, so it is there.
    const count = await placed(visitor);
    if (count < 1) throw new Error('no call was counted');
    return { seen: `${count} placed in ten minutes`, value: undefined };
  });
  await link('call ends', async () => {
    bodyOf(await ask('POST', `/api/calls/${callId}/end`), 200);
    await heard(({ type, data }) => type === 'call.changed' && data.callId === callId);
    const { calls } = bodyOf(await ask<{ calls: EndedCall[] }>('GET', '/api/history'), 200);
    const ended = calls.find(({ id }) => id === callId);
    if (!ended) throw new Error(`call ${callId} is not in the history`);
    return { seen: `in the history: ${ended.status}, ${ended.durationSeconds} s`, value: undefined };
  });
}
