import type { EventsOf } from '@cachekit/realtime';
import { createRealtimeClient } from '@cachekit/realtime/client';
import { bindQueryClient, type QueryClientBinding } from '@cachekit/realtime/tanstack';
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useEffect, useMemo, useState } from 'react';
import type { events } from '../events.ts';

type PbxEvents = EventsOf<typeof events>;

/** The way of the last call that changed, in milliseconds since its row was written. */
export interface Journey {
  callId: string;
  writtenAt: number;
  eventMs: number;
  cache?: string;
  answerMs?: number;
  screenMs?: number;
  viewMs?: number;
}

export interface Live {
  account: string;
  /** State of the connection, in the words of the realtime client. */
  connection: string;
  journey: Journey | undefined;
  /** Headers for a fetch of this query: the clock of the last event that concerns it. */
  requestInit(queryKey: readonly unknown[]): RequestInit;
  /** The list of calls has drawn these ids. */
  drawn(callIds: readonly string[], cache: string, receivedAt: number): void;
  /** Milliseconds from the write to the screen of the last calls, newest last. */
  latencies: readonly number[];
}

const LiveContext = createContext<Live | undefined>(undefined);
const keptLatencies = 60;

export function useLive(): Live {
  const live = use(LiveContext);
  if (!live) throw new Error('useLive() is called outside <LiveProvider>');
  return live;
}

export function LiveProvider({ account, children }: { account: string; children: ReactNode }) {
  const queryClient = useQueryClient();
  const [connection, setConnection] = useState('idle');
  const [journey, setJourney] = useState<Journey>();
  const [latencies, setLatencies] = useState<readonly number[]>([]);

  const [binding, setBinding] = useState<QueryClientBinding>();

  // The client belongs to the effect and not to the render: an effect that runs twice then has two clients, each closed.
  useEffect(() => {
    if (account === '') return;
    const client = createRealtimeClient<PbxEvents>({
      url: new URL('/api/events', location.href).href,
      headers: { 'X-Account-Id': account },
    });
    const bound = bindQueryClient(queryClient, {
      client,
      map: {
        'call.created': () => [
          [account, 'calls'],
          [account, 'cache'],
        ],
        'call.changed': () => [
          [account, 'calls'],
          [account, 'cache'],
        ],
        'call.deleted': () => [[account, 'calls']],
        'view.refreshed': ({ data }) => [[account, data.resource]],
      },
    });
    const noticeCall = ({ callId, writtenAt }: PbxEvents['call.created']) =>
      setJourney({ callId, writtenAt, eventMs: Date.now() - writtenAt });
    const stops = [
      client.onState(setConnection),
      client.on('call.created', noticeCall),
      client.on('call.changed', noticeCall),
      client.on('view.refreshed', ({ resource }, { at = 0 }) =>
        setJourney((last) =>
          last && resource === 'statistics' && last.viewMs === undefined && at > last.writtenAt
            ? { ...last, viewMs: Date.now() - last.writtenAt }
            : last,
        ),
      ),
    ];
    setBinding(bound);
    client.connect();
    return () => {
      for (const stop of stops) stop();
      bound.dispose();
      client.close();
    };
  }, [account, queryClient]);

  const live = useMemo<Live>(
    () => ({
      account,
      connection,
      journey,
      latencies,
      requestInit: (queryKey) => binding?.init(queryKey) ?? {},
      drawn: (callIds, cache, receivedAt) =>
        setJourney((last) => {
          if (!last || last.screenMs !== undefined || !callIds.includes(last.callId)) return last;
          if (receivedAt < last.writtenAt + last.eventMs) return last;
          const screenMs = Date.now() - last.writtenAt;
          setLatencies((kept) => [...kept, screenMs].slice(-keptLatencies));
          return { ...last, cache, answerMs: receivedAt - last.writtenAt, screenMs };
        }),
    }),
    [account, binding, connection, journey, latencies],
  );
  return <LiveContext value={live}>{children}</LiveContext>;
}
