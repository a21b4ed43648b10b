import type { EventsOf } from '@cachekit/realtime';
import { createRealtimeClient, type EventOf, type RealtimeClient } from '@cachekit/realtime/client';
import type { events } from './events.ts';
import type { RecentCall, StatisticsDay } from './page/api.ts';

type PbxEvents = EventsOf<typeof events>;
type PbxClient = RealtimeClient<PbxEvents>;

/** One link of the way of a change: what was seen, and how long it took. */
export interface Link {
  name: string;
  seen: string;
  tookMs: number;
}

/** A link of the way that did not do what it promises. */
class BrokenLinkError extends Error {
  readonly link: string;
  constructor(link: string, message: string, options?: { cause?: unknown }) {
    super(`${link}: ${message}`, options);
    this.name = 'BrokenLinkError';
    this.link = link;
  }
}

/**
 * Follows one committed row through the running server, as a browser without a screen would.
 *
 * @param origin - Address of the server.
 * @param account - Whose call it is.
 * @param deadlineMs - How long one link may take.
 * @throws BrokenLinkError at the first link that fails or takes longer.
 */
export async function followOneRow(origin: string, account: string, deadlineMs = 15_000): Promise<Link[]> {
  const links: Link[] = [];
  const headers = { 'X-Account-Id': account };
  const client = createRealtimeClient<PbxEvents>({ url: `${origin}/api/events`, headers });

  const heard = rememberEvents(client);

  async function link<T>(name: string, act: () => Promise<{ seen: string; value: T }>): Promise<T> {
    const startedAt = performance.now();
    const acted = act().catch((cause: unknown) => {
      throw new BrokenLinkError(name, cause instanceof Error ? cause.message : String(cause), { cause });
    });
    const { seen, value } = await within(acted, name, deadlineMs);
    links.push({ name, seen, tookMs: performance.now() - startedAt });
    return value;
  }

  async function get<T>(path: string, clock?: number): Promise<{ body: T; cache: string }> {
    const response = await fetch(origin + path, {
      headers: { ...headers, ...(clock !== undefined && { 'X-CacheKit-Clock': String(clock) }) },
    });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return { body: (await response.json()) as T, cache: response.headers.get('X-Cache') ?? '' };
  }

  /**
   * A read that somebody has just done is answered from the cache. An invalidation of other traffic may come between the
   * two, so a second and a third reading count too; a cache that keeps nothing never hits.
   */
  async function expectHit(path: string, clock?: number) {
    for (let reading = 1; reading <= 5; reading++) {
      const { cache } = await get(path, clock);
      if (cache === 'HIT') return { seen: 'X-Cache: HIT', value: undefined };
    }
    throw new Error(`${path} was read five times without a HIT`);
  }

  try {
    await link('stream opens', async () => {
      const live = stateBecomes(client, 'live');
      client.connect();
      await live;
      return { seen: 'client is live', value: undefined };
    });

    const statistics = '/api/statistics';
    const before = await link('statistics before', async () => {
      const { body, cache } = await get<{ days: StatisticsDay[] }>(statistics);
      return { seen: `${callsOf(body)} calls in 90 days, X-Cache: ${cache}`, value: callsOf(body) };
    });
    // In the cache before the change, so that a wrong invalidation would show.
    await get('/api/calls?limit=10');

    const callId = await link('call is written', async () => {
      const response = await fetch(`${origin}/api/calls`, { method: 'POST', headers });
      if (response.status !== 201)
        throw new Error(`the insert answered ${response.status}: ${await response.text()}`);
      const { callId } = (await response.json()) as { callId: string };
      return { seen: `row ${callId} in PostgreSQL`, value: callId };
    });
    const writtenAt = Date.now();

    const callEvent = await link('event arrives', async () => {
      const event = await heard((event) => event.type === 'call.created' && event.data.callId === callId);
      return { seen: `call.created, id ${event.id}`, value: event };
    });

    await link('list of calls', async () => {
      const { cache, body } = await get<{ calls: RecentCall[] }>('/api/calls?limit=10', callEvent.clock);
      if (cache !== 'MISS') throw new Error(`the first read after the event was a ${cache}, not a MISS`);
      if (!body.calls.some(({ id }) => id === callId)) throw new Error(`row ${callId} is not in the answer`);
      return { seen: 'X-Cache: MISS, with the new row', value: undefined };
    });
    await link('list of calls again', () => expectHit('/api/calls?limit=10', callEvent.clock));

    // A refresh that began before the row was committed may come first: only one that counts the row is the answer.
    const known = new Set<string>();
    const nextRefresh = () =>
      heard(
        ({ type, data, id }) => type === 'view.refreshed' && data.resource === 'statistics' && !known.has(id),
      );
    await link('view is refreshed', async () => {
      for (;;) {
        const event = await nextRefresh();
        known.add(event.id);
        const { cache, body } = await get<{ days: StatisticsDay[] }>(statistics, event.clock);
        if (callsOf(body) <= before) continue;
        if (cache !== 'MISS')
          throw new Error(`the first read after view.refreshed was a ${cache}, not a MISS`);
        const seen = `${Date.now() - writtenAt} ms after the write; X-Cache: MISS, ${callsOf(body)} calls`;
        return { seen, value: undefined };
      }
    });
    await link('view again', () => expectHit(statistics));

    await link('limit is hit', async () => {
      for (let sent = 1; sent <= 11; sent++) {
        const response = await fetch(`${origin}/api/devices/once-${callId}/commands`, {
          method: 'POST',
          headers,
        });
        if (response.status === 429 && sent === 11) {
          return {
            seen: `11th command: 429, Retry-After ${response.headers.get('Retry-After')} s`,
            value: undefined,
          };
        }
        if (response.status !== 202)
          throw new Error(`command ${sent} of 10 allowed answered ${response.status}`);
      }
      throw new Error('eleven commands passed a limit of ten');
    });
    return links;
  } finally {
    client.close();
  }
}

const callsOf = ({ days }: { days: StatisticsDay[] }): number =>
  days.reduce((sum, day) => sum + day.totalCalls, 0);

async function within<T>(promise: Promise<T>, name: string, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new BrokenLinkError(name, `nothing within ${deadlineMs / 1_000} s`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

type PbxEvent = EventOf<PbxEvents>;

/** Remembers every event, so that one that came before it was asked for is found too. */
function rememberEvents(client: PbxClient): (wanted: (event: PbxEvent) => boolean) => Promise<PbxEvent> {
  const events: PbxEvent[] = [];
  const waiting = new Set<(event: PbxEvent) => void>();
  client.onEvent((event) => {
    events.push(event);
    for (const tell of waiting) tell(event);
  });
  return (wanted) =>
    new Promise((resolve) => {
      const found = events.find(wanted);
      if (found) return resolve(found);
      const tell = (event: PbxEvent): void => {
        if (!wanted(event)) return;
        waiting.delete(tell);
        resolve(event);
      };
      waiting.add(tell);
    });
}

function stateBecomes(client: PbxClient, wanted: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = client.onState((state) => {
      if (state !== wanted) return;
      stop();
      resolve();
    });
  });
}
