import { ArgumentError } from '@cachekit/core';
import { sseHandler } from '@cachekit/realtime';
import type { Desk } from '../wiring.ts';
import { commandRoutes } from './commands.ts';
import { readRoutes } from './reads.ts';
import { Refusal } from './refusal.ts';
import { tenantOf } from './request.ts';
import { webhookRoute } from './webhook.ts';

/** The HTTP interface, for whatever calls `(request: Request) => Promise<Response>`. */
export function createApp(
  desk: Desk,
  onTrouble: (part: string, error: unknown) => void,
): (request: Request) => Promise<Response> {
  const routes = new Map(
    Object.entries({
      ...readRoutes(desk),
      ...commandRoutes(desk),
      'POST /webhooks/bank': webhookRoute(desk),
      'GET /api/events': sseHandler(desk.hub, { authenticate: (request) => ({ tenant: tenantOf(request) }) }),
    }),
  );
  return async (request) => {
    try {
      const method = request.method === 'HEAD' ? 'GET' : request.method;
      const route = routes.get(`${method} ${new URL(request.url).pathname}`);
      if (route === undefined) throw new Refusal(404, 'There is nothing here');
      const response = await route(request);
      // Two offices may be read by one browser: it must not give the one what it has kept of the other.
      response.headers.append('Vary', 'X-Tenant-Id');
      return response;
    } catch (error) {
      if (error instanceof Refusal) return Response.json({ error: error.message }, { status: error.status });
      if (error instanceof ArgumentError) return Response.json({ error: error.message }, { status: 400 });
      onTrouble('server', error);
      return Response.json({ error: 'Something went wrong' }, { status: 500 });
    }
  };
}
