import type { TierClock } from '@cachekit/core';
import { assertEventType, assertTenant, encodeBody, type RealtimeEventInput } from '../events/event.ts';
import type { EventLog, NewLogRecord } from '../log/event-log.ts';
import { frameType, gapBody } from './frame.ts';
import type { HubCounters } from './hub-metrics.ts';

/** What became of events given to `publish`. */
export interface PublishResult {
  readonly appended: number;
  /** Events whose origin the log had already. */
  readonly repeated: number;
}

/** Whom a gap concerns, and what is known of it. */
export interface GapNotice {
  /** Without one, every tenant. */
  readonly tenant?: string | undefined;
  /** A read that asks for this clock gets nothing older than what was missed. */
  readonly clock?: TierClock | undefined;
}

/** The side of a hub where events come in. */
export interface Publisher {
  publish(events: readonly RealtimeEventInput[]): Promise<PublishResult>;
  gap(about: GapNotice): Promise<void>;
}

type Tally = { -readonly [Name in keyof PublishResult]: PublishResult[Name] };

/** Tenants that are told of something at the same time. */
const broadcastWidth = 64;

/** Appends to the log; whoever listens hears of it from there. */
export function createPublisher(log: EventLog, counters: HubCounters): Publisher {
  async function append(tenant: string, records: readonly NewLogRecord[], result: Tally): Promise<void> {
    const { appended, repeated } = await log.append(tenant, records);
    result.appended += appended;
    result.repeated += repeated;
    counters.published += appended;
    counters.repeated += repeated;
  }

  async function broadcast(record: NewLogRecord, result: Tally): Promise<void> {
    for await (const tenants of log.tenants()) {
      for (let i = 0; i < tenants.length; i += broadcastWidth) {
        const some = tenants.slice(i, i + broadcastWidth);
        await settled(some.map((tenant) => append(tenant, [record], result)));
      }
    }
  }

  async function publish(events: readonly RealtimeEventInput[]): Promise<PublishResult> {
    const records = events.map((event) => {
      assertEventType(event.type);
      assertTenant(event.tenant);
      return { type: event.type, body: encodeBody(event), origin: event.origin };
    });
    const result = { appended: 0, repeated: 0 };
    let ofTenants = new Map<string, NewLogRecord[]>();
    const flush = async (): Promise<void> => {
      const batch = ofTenants;
      ofTenants = new Map();
      await settled([...batch].map(([tenant, own]) => append(tenant, own, result)));
    };
    for (const [index, { tenant }] of events.entries()) {
      const record = records[index] as NewLogRecord;
      if (tenant === undefined) {
        await flush();
        await broadcast(record, result);
      } else {
        const own = ofTenants.get(tenant);
        if (own) own.push(record);
        else ofTenants.set(tenant, [record]);
      }
    }
    await flush();
    return result;
  }

  return {
    publish,
    async gap({ tenant, clock }) {
      assertTenant(tenant);
      const record = { type: frameType.gap, body: gapBody('source', clock) };
      const result = { appended: 0, repeated: 0 };
      if (tenant === undefined) await broadcast(record, result);
      else await append(tenant, [record], result);
    },
  };
}

/** Waits for all and rejects with the first failure, so that nothing goes on behind the caller's back. */
async function settled(all: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(all);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
