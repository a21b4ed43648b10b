import { createRealtimeClient, type EventOf, type RealtimeClient } from '@cachekit/realtime/client';
import type { PbxEvents } from '../events.ts';

type PbxEvent = EventOf<PbxEvents>;
type PbxClient = RealtimeClient<PbxEvents>;

/** What the server answered. */
export interface Answer<T> {
  status: number;
  body: T;
  headers: Headers;
}

/** A browser without a screen: it listens to the events of an account, and asks. */
export interface Visitor {
  /** Connects, and resolves when the stream is live. */
  listen(): Promise<void>;
  /** The first event that is wanted, also if it has come already. */
  heard(wanted: (event: PbxEvent) => boolean): Promise<PbxEvent>;
  /** Asks for JSON; every status is an answer. */
  ask<T>(
    method: string,
    path: string,
    options?: { body?: unknown; clock?: number | undefined },
  ): Promise<Answer<T>>;
  leave(): void;
}

export function createVisitor(origin: string, account: string): Visitor {
  const headers = { 'X-Account-Id': account };
  const client: PbxClient = createRealtimeClient<PbxEvents>({ url: `${origin}/api/events`, headers });
  const heard = rememberEvents(client);
  return {
    listen() {
      const live = stateBecomes(client, 'live');
      client.connect();
      return live;
    },
    heard,
    async ask<T>(
      method: string,
      path: string,
      { body, clock }: { body?: unknown; clock?: number | undefined } = {},
    ) {
      const response = await fetch(origin + path, {
        method,
        headers: { ...headers, ...(clock !== undefined && { 'X-CacheKit-Clock': String(clock) }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: JSON.parse(text) as T, headers: response.headers };
    },
    leave: () => client.close(),
  };
}

/** The body of an answer of the expected status. */
export function bodyOf<T>({ status, body }: Answer<T>, expected: number): T {
  if (status === expected) return body;
  throw new Error(`the answer was ${status} and not ${expected}: ${JSON.stringify(body)}`);
}

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
