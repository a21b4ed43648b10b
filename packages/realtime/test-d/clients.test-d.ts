import { QueryClient } from '@tanstack/query-core';
import { expectTypeOf } from 'vitest';
import { createRealtimeClient, type RealtimeClient } from '../src/client/index.ts';
import { defineEvents, type EventsOf, on } from '../src/index.ts';
import { bindQueryClient, type QueryClientLike } from '../src/tanstack/index.ts';

// The real QueryClient is one that the binding takes.
expectTypeOf<QueryClient>().toExtend<QueryClientLike>();

const events = defineEvents({
  'call.created': on('calls', 'insert', ({ new: call }) => ({ id: call.id as number })),
  'sync.done': on('syncs', 'update', () => 'done' as const),
});
const client = createRealtimeClient<EventsOf<typeof events>>({ url: '/api/events' });

// Types travel from the rules on the server to the listeners in the browser.
client.on('call.created', (call, event) => {
  expectTypeOf(call).toEqualTypeOf<{ id: number }>();
  expectTypeOf(event.type).toEqualTypeOf<'call.created'>();
});
client.onEvent((event) => {
  if (event.type === 'sync.done') expectTypeOf(event.data).toEqualTypeOf<'done'>();
});
// @ts-expect-error no rule makes this type
client.on('call.gone', () => {});

bindQueryClient(new QueryClient(), {
  client,
  map: {
    'call.created': ({ data }) => [['call', data.id], ['calls']],
    'sync.done': [['accounts']],
  },
});
bindQueryClient(new QueryClient(), {
  client,
  // @ts-expect-error no rule makes this type
  map: { 'call.gone': [['calls']] },
});

// Without a map of events, any type is possible and the data unknown.
const loose: RealtimeClient = createRealtimeClient({ url: '/api/events' });
loose.on('anything', (data) => expectTypeOf(data).toEqualTypeOf<unknown>());
bindQueryClient(new QueryClient(), { client: loose, map: { anything: [['calls']] } });
