import { createRealtimeClient } from '@cachekit/realtime/client';
import type { DeskEvents } from '../events.ts';

/** A browser that listens to the events of an office. */
export interface Listener {
  /** The next event of that type, also if it has come already. */
  next<Type extends keyof DeskEvents>(type: Type): Promise<DeskEvents[Type]>;
  leave(): void;
}

/** Connects, and resolves when the stream is live. */
export async function listen(origin: string, tenant: string): Promise<Listener> {
  const client = createRealtimeClient<DeskEvents>({
    url: `${origin}/api/events`,
    headers: { 'X-Tenant-Id': tenant },
  });
  const heard = new Map<string, unknown[]>();
  const waiting = new Map<string, (data: unknown) => void>();
  client.onEvent(({ type, data }) => {
    const wanted = waiting.get(type);
    waiting.delete(type);
    if (wanted) wanted(data);
    else heard.set(type, [...(heard.get(type) ?? []), data]);
  });
  const live = new Promise<void>((resolve) => {
    client.onState((state) => {
      if (state === 'live') resolve();
    });
  });
  client.connect();
  await live;
  return {
    next<Type extends keyof DeskEvents>(type: Type) {
      const came = heard.get(type) ?? [];
      if (came.length > 0) return Promise.resolve(came.shift() as DeskEvents[Type]);
      return new Promise<DeskEvents[Type]>((resolve) => {
        waiting.set(type, (data) => resolve(data as DeskEvents[Type]));
      });
    },
    leave: () => client.close(),
  };
}
