import type { RecentCall, StatisticsDay } from '../page/api.ts';
import type { DoLink } from './links.ts';
import { bodyOf, type Visitor } from './visitor.ts';

const list = '/api/calls?limit=10';
const statistics = '/api/statistics';

/** Follows one committed row from the insert to the event, the list of calls and the view. @returns Its id. */
export async function followOneRow({ ask, heard }: Visitor, link: DoLink): Promise<string> {
  async function read<T>(path: string, clock?: number): Promise<{ body: T; cache: string }> {
    const answer = await ask<T>('GET', path, { clock });
    return { body: bodyOf(answer, 200), cache: answer.headers.get('X-Cache') ?? '' };
  }

  /**
   * A read that somebody has just done is answered from the cache. An invalidation of other traffic may come between the
   * two, so a second and a third reading count too; a cache that keeps nothing never hits.
   */
  async function expectHit(path: string, clock?: number) {
    for (let reading = 1; reading <= 5; reading++) {
      const { cache } = await read(path, clock);
      if (cache === 'HIT') return { seen: 'X-Cache: HIT', value: undefined };
    }
    throw new Error(`${path} was read five times without a HIT`);
  }

  const before = await link('statistics before', async () => {
    const { body, cache } = await read<{ days: StatisticsDay[] }>(statistics);
    return { seen: `${callsOf(body)} calls in 90 days, X-Cache: ${cache}`, value: callsOf(body) };
  });
  // In the cache before the change, so that a wrong invalidation would show.
  await read(list);

  const callId = await link('call is written', async () => {
    const { callId } = bodyOf(await ask<{ callId: string }>('POST', '/api/calls'), 201);
    return { seen: `row ${callId} in PostgreSQL`, value: callId };
  });
  const writtenAt = Date.now();

  const callEvent = await link('event arrives', async () => {
    const event = await heard((event) => event.type === 'call.created' && event.data.callId === callId);
    return { seen: `call.created, id ${event.id}`, value: event };
  });

  await link('list of calls', async () => {
    const { cache, body } = await read<{ calls: RecentCall[] }>(list, callEvent.clock);
    if (cache !== 'MISS') throw new Error(`the first read after the event was a ${cache}, not a MISS`);
    if (!body.calls.some(({ id }) => id === callId)) throw new Error(`row ${callId} is not in the answer`);
    return { seen: 'X-Cache: MISS, with the new row', value: undefined };
  });
  await link('list of calls again', () => expectHit(list, callEvent.clock));

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
      const { cache, body } = await read<{ days: StatisticsDay[] }>(statistics, event.clock);
      if (callsOf(body) <= before) continue;
      if (cache !== 'MISS') throw new Error(`the first read after view.refreshed was a ${cache}, not a MISS`);
      const seen = `${Date.now() - writtenAt} ms after the write; X-Cache: MISS, ${callsOf(body)} calls`;
      return { seen, value: undefined };
    }
  });
  await link('view again', () => expectHit(statistics));
  return callId;
}

const callsOf = ({ days }: { days: StatisticsDay[] }): number =>
  days.reduce((sum, day) => sum + day.totalCalls, 0);
