import {
  ArgumentError,
  type ChangeContext,
  type ChangeEvent,
  ConfigurationError,
  isCacheKitError,
  type Stage,
} from '@cachekit/core';
import type { Hub } from '../hub/hub.ts';
import type { RealtimeEventInput } from './event.ts';

/** What `publishStage` needs of a hub. */
export type PublishHub = Pick<Hub, 'publish' | 'gap' | 'reportError'>;

/** Makes the events of one change; `tenant` is the change's if left out, and may be no other. */
export type DeriveEvents = (
  change: ChangeEvent,
  context: ChangeContext,
) => RealtimeEventInput | readonly RealtimeEventInput[] | undefined;

/**
 * The stage of a change pipeline that tells the listeners: derives events and appends them to the logs.
 *
 * It belongs after `invalidateStage`, whose clock the events carry: a listener that fetches again with this clock
 * gets nothing older than the change. A batch that is delivered again appends nothing twice. An event goes to the
 * tenant of its change: the refresh of a view without a tenant concerns every tenant, a row without one nobody. A
 * change that cannot be told (`derive`
 * throws, or gives what cannot be sent) holds nobody up: the tenant's listeners get a gap in its place, and
 * `onError` of the hub hears of it. After a gap of the source every tenant's listeners get one.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` without a hub or a function. The stage itself rejects with what
 * the log rejects with; the pipeline then delivers the batch again.
 * @example
 * createChangePipeline({
 *   sources: [changeSource({ sql, listener })],
 *   stages: [invalidateStage(cache, tagsOf), publishStage(hub, events.derive)],
 * });
 */
export function publishStage(hub: PublishHub, derive: DeriveEvents): Stage {
  if (typeof hub?.publish !== 'function' || typeof derive !== 'function') {
    throw new ConfigurationError('publishStage takes a hub and the function that derives events');
  }
  return async (batch, context) => {
    if (context.gap !== undefined) {
      await hub.gap({ clock: context.clock });
      return;
    }
    let ready: RealtimeEventInput[] = [];
    const flush = async (): Promise<void> => {
      const events = ready;
      ready = [];
      if (events.length > 0) await publishAll(hub, events);
    };
    for (const change of batch) {
      // A row of nobody is shown to nobody.
      if (change.tenant === undefined && change.operation !== 'refresh') continue;
      try {
        ready.push(...eventsOf(change, derive(change, context), context));
      } catch (error) {
        await flush();
        await replaceByGap(hub, error, { tenant: change.tenant, clock: context.clock });
      }
    }
    await flush();
  };
}

function eventsOf(
  change: ChangeEvent,
  derived: RealtimeEventInput | readonly RealtimeEventInput[] | undefined,
  context: ChangeContext,
): RealtimeEventInput[] {
  if (derived === undefined) return [];
  const events: readonly RealtimeEventInput[] = 'type' in derived ? [derived] : derived;
  return events.map((event) => {
    if (event.tenant !== undefined && event.tenant !== change.tenant) {
      throw new ArgumentError(
        `Event "${event.type}" names the tenant ${JSON.stringify(event.tenant)}, its change belongs to ${JSON.stringify(change.tenant)}`,
      );
    }
    return {
      key: change.key,
      at: change.at,
      clock: context.clock,
      ...event,
      tenant: change.tenant,
      // The number alone comes again when a database was restored or its outbox made anew, and is another change then.
      origin: `${context.source}:${change.sequence}@${change.at}`,
    };
  });
}

/** Publishes all at once, or, if one of them cannot be sent, one after the other with a gap in place of that one. */
async function publishAll(hub: PublishHub, events: readonly RealtimeEventInput[]): Promise<void> {
  try {
    await hub.publish(events);
  } catch (error) {
    if (!isCacheKitError(error, 'INVALID_ARGUMENT')) throw error;
    for (const group of byOrigin(events)) {
      try {
        await hub.publish(group);
      } catch (invalid) {
        if (!isCacheKitError(invalid, 'INVALID_ARGUMENT')) throw invalid;
        await replaceByGap(hub, invalid, group[0] as RealtimeEventInput);
      }
    }
  }
}

/** Neighbours of one origin stay in one call: the log would take the second call for a repetition. */
function byOrigin(events: readonly RealtimeEventInput[]): RealtimeEventInput[][] {
  const groups: RealtimeEventInput[][] = [];
  for (const event of events) {
    const last = groups.at(-1);
    if (last && last[0]?.origin === event.origin) last.push(event);
    else groups.push([event]);
  }
  return groups;
}

async function replaceByGap(
  hub: PublishHub,
  error: unknown,
  { tenant, clock }: Pick<RealtimeEventInput, 'tenant' | 'clock'>,
): Promise<void> {
  hub.reportError(error);
  try {
    await hub.gap({ tenant, clock });
  } catch (refused) {
    // A tenant id that no log can have has no listeners either.
    if (!isCacheKitError(refused, 'INVALID_ARGUMENT')) throw refused;
  }
}
