import type { Acquisition, TierClock } from '@cachekit/core';
import type { OwnWrites } from '../coherence/own-writes.ts';
import { refusal, type ScriptReply } from './batched-script.ts';

/** What one who may not load is told. */
export const leased: Acquisition = { state: 'leased' };

/** What a call of the script says; the text where another entry is there, or what looks like one. */
export function acquisitions(
  [clock, ...replies]: readonly ScriptReply[],
  own: OwnWrites | undefined,
): readonly (Acquisition | string | Error)[] {
  const acquired: Acquisition = { state: 'acquired', clock: clock as TierClock };
  if (replies.includes(1)) own?.loadBegan(acquired.clock);
  return replies.map((reply) => {
    if (reply === 1) return acquired;
    return reply === 0 ? leased : (refusal(reply) ?? (reply as string));
  });
}

/** What a call of the script says; noted before what is asked next is answered, such as what this process hears of it. */
export function clocks(
  replies: readonly ScriptReply[],
  own: OwnWrites | undefined,
): readonly (TierClock | Error)[] {
  return replies.map((reply) => {
    const refused = refusal(reply);
    if (refused !== undefined) return refused;
    const clock = reply as TierClock;
    if (clock > 0) own?.loadBegan(clock);
    return clock;
  });
}

/** Whether each load landed. */
export function commits(replies: readonly ScriptReply[]): readonly (boolean | Error)[] {
  return replies.map((reply) => refusal(reply) ?? reply === 1);
}
