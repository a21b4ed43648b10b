import type { Clock } from '../../ports/clock.ts';
import type { CommitRequest } from '../../ports/remote-tier.ts';
import type { EngineParts } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import type { RemoteCall } from '../remote-call.ts';
import { Asks } from '../steps/asks.ts';

/** Stores what was loaded, what ends in one tick together. */
export function commitsOf(remote: RemoteCall, clock: Clock): Asks<CommitRequest, boolean> {
  const { tier } = remote;
  const many = tier.partOf === undefined ? tier.commitMany : undefined;
  return new Asks({
    now: () => clock.now(),
    one: (request) => remote.attempt('commit', () => tier.commit(request), request.key),
    ...(many && { many: (requests) => remote.attempt('commit', () => many.call(tier, requests)) }),
    failure: (error) => remote.failure('commit', error),
  });
}

export function refused(parts: EngineParts, request: ReadRequest): void {
  request.state.counters.refusedCommits++;
  if (!parts.events.heard('commitRefused')) return;
  parts.events.emit('commitRefused', { key: request.key.wire, resource: request.key.resource.name });
}
