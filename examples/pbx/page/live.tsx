import { createRealtimeClient } from '@cachekit/realtime/client';
import { bindQueryClient, type QueryClientBinding } from '@cachekit/realtime/tanstack';
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useEffect, useMemo, useState } from 'react';
import type { PbxEvents } from '../events.ts';

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

/** A device that came or went while this page was open. */
export interface Coming {
  id: string;
  deviceId: string;
  at: number;
  /** Why it left; absent if it came. */
  reason?: PbxEvents['device.offline']['reason'];
}

export interface Live {
  account: string;
  /** State of the connection, in the words of the realtime client. */
  connection: string;
  journey: Journey | undefined;
  /** Devices that came and went, the last first. */
  comings: readonly Coming[];
  /** Headers for a fetch of this query: the clock of the last event that concerns it. */
  requestInit(queryKey: readonly unknown[]): RequestInit;
  /** The list of calls has drawn these ids. */
  drawn(callIds: readonly string[], cache: string, receivedAt: number): void;
  /** Milliseconds from the write to the screen of the last calls, newest last. */
  latencies: readonly number[];
}

const LiveContext = createContext<Live | undefined>(undefined);
const keptLatencies = 60;
const keptComings = 6;

export function useLive(): Live {
  const live = use(LiveContext);
  if (!live) throw new Error('useLive() is called outside <LiveProvider>');
  return live;
}

export function LiveProvider({ account, children }: { account: string; children: ReactNode }) {
  const queryClient = useQueryClient();
  const [connection, setConnection] = useState('idle');
  const [journey, setJourney] = useState<Journey>();
  const [comings, setComings] = useState<readonly Coming[]>([]);
  const [latencies, setLatencies] = useState<readonly number[]>([]);

  const [binding, setBinding] = useState<QueryClientBinding>();

  // The client belongs to the effect and not to the render: an effect that runs twice then has two clients, each closed.
  useEffect(() => {
    if (account === '') return;
    const client = createRealtimeClient<PbxEvents>({
      url: new URL('/api/events', location.href).href,
      headers: { 'X-Account-Id': account },
    });
    const ofCalls = ['calls', 'counters', 'history', 'cache'].map((resource) => [account, resource]);
    const ofPresence = [[account, 'presence']];
    const bound = bindQueryClient(queryClient, {
      client,
      map: {
        'call.created': ofCalls,
        'call.changed': ofCalls,
        'call.deleted': ofCalls,
        'device.online': ofPresence,
        'device.offline': ofPresence,
        'device.command': ({ data }) => [[account, `commands ${data.deviceId}`]],
        'device.changed': [[account, 'devices'], ...ofPresence],
        'view.refreshed': ({ data }) => [[account, data.resource]],
      },
    });
    const noticeCall = ({ callId, writtenAt }: PbxEvents['call.created']) =>
      setJourney({ callId, writtenAt, eventMs: Date.now() - writtenAt });
    const noticeDevice = (coming: Coming) => setComings((kept) => [coming, ...kept].slice(0, keptComings));
    const stops = [
      client.onState(setConnection),
      client.on('call.created', noticeCall),
      client.on('call.changed', noticeCall),
      client.on('device.online', (data, { id, at = Date.now() }) => noticeDevice({ ...data, id, at })),
      client.on('device.offline', (data, { id, at = Date.now() }) => noticeDevice({ ...data, id, at })),
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
      comings,
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
    [account, binding, comings, connection, journey, latencies],
  );
  return <LiveContext value={live}>{children}</LiveContext>;
}
